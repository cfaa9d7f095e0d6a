import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { connectNats, type MessageBus, streamConfig } from '@meridian/messaging';
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

const R = REGION;
/**
 * The least that each role may do: as small as this, because a test that needs more than the production broker allows
 * would hide a missing permission. Subjects of the streams and of requests are those of the table.
 */
const ALLOWED: Readonly<Record<BusRole, readonly string[]>> = {
  scheduler: [
    'meridian.*.task.>',
    'meridian.*.rpc.scheduler.>',
    `meridian.${R}.telemetry`,
    `meridian.${R}.event.>`,
    `meridian.${R}.job.>`,
    '$JS.API.STREAM.INFO.TASKS',
    '$JS.API.STREAM.INFO.JOBS',
    '$JS.API.STREAM.MSG.GET.JOBS',
    '$JS.API.STREAM.PURGE.JOBS',
    `$JS.API.CONSUMER.CREATE.JOBS.*.meridian.${R}.job.>`,
    '$JS.API.CONSUMER.MSG.NEXT.JOBS.*',
  ],
  worker: [
    `$JS.API.CONSUMER.CREATE.TASKS.*.meridian.${R}.task.>`,
    '$JS.API.CONSUMER.INFO.TASKS.*',
    '$JS.API.CONSUMER.MSG.NEXT.TASKS.*',
    '$JS.ACK.TASKS.>',
  ],
  sync: [
    `meridian.${R}.state.>`,
    '$JS.API.STREAM.INFO.STATE',
    '$JS.API.STREAM.PURGE.STATE',
    `$JS.API.CONSUMER.CREATE.STATE.*.meridian.${R}.state.>`,
    '$JS.API.CONSUMER.MSG.NEXT.STATE.*',
  ],
  consumer: [
    `$JS.API.CONSUMER.CREATE.EVENTS.*.meridian.${R}.event.>`,
    '$JS.API.CONSUMER.INFO.EVENTS.*',
    '$JS.API.CONSUMER.MSG.NEXT.EVENTS.*',
    '$JS.ACK.EVENTS.>',
  ],
};

const ROLES = Object.keys(ALLOWED) as BusRole[];

/** A real nats-server with a user per role. */
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
  const users = ROLES.map(
    (role) => `{ nkey: ${keys[role].getPublicKey()}, permissions: {
      publish: { allow: ${JSON.stringify(ALLOWED[role])} },
      subscribe: { allow: ["_INBOX_${role}.>", "meridian.>"] },
      allow_responses: { max: 1, expires: "30s" }
    } }`,
  );
  return `accounts { APP { jetstream: enabled, users: [ ${users.join(',\n')}, { nkey: ${keys.stranger.getPublicKey()} } ] } }`;
}
