import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { connectNats, type MessageBus, streamConfig } from '@meridian/messaging';
import { permissionsOf } from '@meridian/nats-config';
import { systemClock } from '@meridian/runtime';
import { createUser, type KeyPair } from '@nats-io/nkeys';
import { connect, headers, type NatsConnection, nkeyAuthenticator } from '@nats-io/transport-node';
import { NatsServer } from '../support/nats-server.ts';
import {
  type BusHarness,
  type BusRole,
  type RawEvent,
  REGION,
  Records,
  TEST_STREAMS,
  testEmitter,
  testLogger,
} from './bus-harness.ts';

const ROLES: readonly BusRole[] = ['scheduler', 'worker', 'sync', 'consumer'];

/** A real nats-server with a user per role, each with the permissions of the product. */
export class NatsHarness implements BusHarness {
  readonly server: NatsServer;
  readonly #keys: Readonly<Record<BusRole | 'stranger', KeyPair>>;
  readonly #stranger: NatsConnection;
  readonly #buses: MessageBus[] = [];

  private constructor(
    server: NatsServer,
    keys: Readonly<Record<BusRole | 'stranger', KeyPair>>,
    stranger: NatsConnection,
  ) {
    this.server = server;
    this.#keys = keys;
    this.#stranger = stranger;
  }

  static async start(): Promise<NatsHarness> {
    const keys = {
      scheduler: createUser(),
      worker: createUser(),
      sync: createUser(),
      consumer: createUser(),
      stranger: createUser(),
    };
    const server = await NatsServer.start({ domain: REGION, configuration: accounts(keys) });
    const stranger = await connect({
      servers: server.url,
      authenticator: nkeyAuthenticator(keys.stranger.getSeed()),
      reconnectTimeWait: 50,
      maxReconnectAttempts: -1,
    });
    for (const row of TEST_STREAMS)
      await stranger.request(`$JS.API.STREAM.CREATE.${row.name}`, JSON.stringify(streamConfig(row, REGION)));
    return new NatsHarness(server, keys, stranger);
  }

  async open(role: BusRole, logger = testLogger): Promise<{ bus: MessageBus; records: Records }> {
    const records = new Records();
    const seedFile = path.join(this.server.directory, `${role}.seed`);
    await writeFile(seedFile, this.#keys[role].getSeed(), { mode: 0o600 });
    const bus = await connectNats({
      url: this.server.url,
      seedFile,
      role,
      name: role,
      emitter: testEmitter(role),
      logger,
      meter: records.meter,
      clock: systemClock,
    });
    this.#buses.push(bus);
    return { bus, records };
  }

  async inject(event: RawEvent): Promise<void> {
    const values = headers();
    for (const [name, value] of event.headers) values.append(name, value);
    this.#stranger.publish(event.subject, event.data, { headers: values, reply: '_INBOX_stranger.x' });
    // What others send from now on comes after it.
    await this.#stranger.flush();
  }

  /** A call of the JetStream API with all rights. */
  async api(operation: string): Promise<unknown> {
    return (await this.#stranger.request(`$JS.API.${operation}`)).json();
  }

  down(): Promise<void> {
    return this.server.kill();
  }

  up(): Promise<void> {
    return this.server.launch();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#buses.map((bus) => bus.close()), this.#stranger.close()]);
    await this.server.stop();
  }
}

function accounts(keys: Readonly<Record<BusRole | 'stranger', KeyPair>>): string {
  const users = ROLES.map((role) => {
    const { publish, subscribe } = permissionsOf(role, REGION);
    return `{ nkey: ${keys[role].getPublicKey()}, permissions: {
      publish: { allow: ${JSON.stringify(publish)} }
      subscribe: { allow: ${JSON.stringify(subscribe)} }
    } }`;
  });
  const stranger = `{ nkey: ${keys.stranger.getPublicKey()} }`;
  return `accounts { APP { jetstream: enabled, users: [ ${[...users, stranger].join(', ')} ] } }`;
}
