import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createAuthority, createIdentity } from '@meridian/certificates';
import { ROLES, STREAMS, type StreamRow, SUBJECTS, subject } from '@meridian/contracts';
import { natsConfig } from '@meridian/nats-config';
import { jetstreamManager } from '@nats-io/jetstream';
import {
  type ConnectionOptions,
  connect,
  type NatsConnection,
  nkeyAuthenticator,
  nkeys,
} from '@nats-io/transport-node';
import { natsServerBinary } from '../support/nats-server.ts';
import { connectRaw, plaintext, type RawConnection } from '../support/raw-nats.ts';
import { type RegionBroker, type RegionBrokers, startRegionBrokers, until } from '../support/region-brokers.ts';

let directory: string;
let brokers: RegionBrokers;
let beijing: RegionBroker;
const open: NatsConnection[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'authorisation-'));
  brokers = await startRegionBrokers({ directory, regions: ['beijing', 'shanghai'], auditor: true });
  beijing = brokers.of('beijing');
  const { connection } = await session('initializer');
  const manager = await jetstreamManager(connection);
  for (const stream of STREAMS) await manager.streams.add(minimalStream(stream));
});

afterAll(async () => {
  await Promise.all(open.map((connection) => connection.close()));
  await brokers.stop();
  await rm(directory, { recursive: true, force: true });
});

async function session(role: (typeof ROLES)[number]): Promise<RawConnection> {
  const raw = await connectRaw(beijing, role);
  open.push(raw.connection);
  return raw;
}

function minimalStream({ name, kind, retention }: StreamRow) {
  return { name, retention, subjects: [anyOf(SUBJECTS[kind].pattern, 'beijing')] };
}

/** The pattern with the region filled in and `*` for every other part. */
function anyOf(pattern: string, region: string): string {
  return pattern.replace(/\{(\w+)\}/g, (_, part: string) => (part === 'target' || part === 'origin' ? region : '*'));
}

/** A subject of the pattern. */
function oneOf(pattern: string, region: string): string {
  return anyOf(pattern, region).replaceAll('*', 'x');
}

async function streamMessages(): Promise<Record<string, number>> {
  const { connection } = await session('initializer');
  const counts: Record<string, number> = {};
  for (const { name } of STREAMS) {
    const info = await connection.request(`$JS.API.STREAM.INFO.${name}`, '', { timeout: 5000 });
    counts[name] = info.json<{ state: { messages: number } }>().state.messages;
  }
  await connection.close();
  return counts;
}

/** What the broker does with an attempt to connect. */
async function attempt(options: ConnectionOptions): Promise<'connected' | 'refused'> {
  try {
    const connection = await connect({ servers: beijing.clientUrl, reconnect: false, timeout: 5000, ...options });
    await connection.close();
    return 'connected';
  } catch {
    return 'refused';
  }
}

describe('each role', () => {
  test.each(ROLES.filter((role) => role !== 'auditor'))(
    '%s can publish and subscribe what its rows say, and no more',
    async (role) => {
      const { refusals, connection } = await session(role);
      for (const row of Object.values(SUBJECTS)) {
        const published = oneOf(row.pattern, 'beijing');
        const mayPublish = (row.publishers as readonly string[]).includes(role);
        expect(await refusals((client) => client.publish(published))).toEqual(
          mayPublish ? [] : [`publish ${published}`],
        );
        const subscribed = anyOf(row.pattern, 'beijing');
        const maySubscribe = (row.subscribers as readonly string[]).includes(role);
        expect(await refusals((client) => void client.subscribe(subscribed, { callback: () => {} }))).toEqual(
          maySubscribe ? [] : [`subscription ${subscribed}`],
        );
        const foreign = oneOf(row.pattern, 'shanghai');
        const mayAddress = mayPublish && row.pattern.includes('{target}');
        expect(await refusals((client) => client.publish(foreign))).toEqual(mayAddress ? [] : [`publish ${foreign}`]);
      }
      for (const wide of [
        '>',
        'meridian.>',
        '_INBOX.>',
        '$JS.>',
        '$SYS.>',
        role === 'sync' ? '_INBOX_worker.>' : '_INBOX_sync.>',
      ])
        expect(await refusals((client) => void client.subscribe(wide, { callback: () => {} }))).toEqual([
          `subscription ${wide}`,
        ]);
      await connection.close();
    },
  );

  test('the consumer reads events and changes nothing', async () => {
    const { connection, refusals } = await session('consumer');
    const scheduler = (await session('scheduler')).connection;
    const event = subject('event', { origin: 'beijing', tenant: 'public', entity: 'job', verb: 'done' });
    const live = connection.subscribe(event, { max: 1, timeout: 5000 });
    await connection.flush();
    await scheduler.request(event, 'an event', { timeout: 5000 });
    for await (const message of live) expect([message.subject, message.string()]).toEqual([event, 'an event']);
    const filter = subject('event', { origin: 'beijing', tenant: 'public', entity: '*', verb: '*' });
    const config = {
      name: 'reader',
      filter_subject: filter,
      ack_policy: 'none',
      deliver_policy: 'all',
      inactive_threshold: 10e9,
    };
    const create = `$JS.API.CONSUMER.CREATE.EVENTS.reader.${filter}`;
    const made = await connection.request(create, JSON.stringify({ stream_name: 'EVENTS', config }), { timeout: 5000 });
    expect(made.json()).toMatchObject({ name: 'reader' });
    const subscription = connection.subscribe('_INBOX_consumer.pull', { max: 1, timeout: 5000 });
    connection.publish('$JS.API.CONSUMER.MSG.NEXT.EVENTS.reader', '1', { reply: '_INBOX_consumer.pull' });
    for await (const message of subscription) expect(message.string()).toBe('an event');
    const forbidden = [
      '$JS.API.STREAM.PURGE.EVENTS',
      '$JS.API.STREAM.DELETE.EVENTS',
      '$JS.API.STREAM.UPDATE.EVENTS',
      '$JS.API.STREAM.MSG.DELETE.EVENTS',
      '$JS.API.STREAM.MSG.GET.JOBS',
      '$JS.API.STREAM.LIST',
      '$JS.API.CONSUMER.DELETE.EVENTS.reader',
      '$JS.API.CONSUMER.CREATE.EVENTS',
      '$JS.API.CONSUMER.CREATE.JOBS.x.meridian.beijing.job.>',
      '$JS.API.CONSUMER.MSG.NEXT.TASKS.high_m',
    ];
    for (const api of forbidden)
      expect(await refusals((client) => client.publish(api, '{}'))).toEqual([`publish ${api}`]);
  });

  test('the consumer cannot have an answer of the broker written into a stream', async () => {
    const { connection } = await session('consumer');
    const filter = 'meridian.beijing.event.>';
    const create = async (name: string, more: object) => {
      const config = { name, filter_subject: filter, ack_policy: 'none', deliver_policy: 'all', ...more };
      const request = JSON.stringify({ stream_name: 'EVENTS', config });
      return connection.request(`$JS.API.CONSUMER.CREATE.EVENTS.${name}.${filter}`, request, { timeout: 5000 });
    };
    const before = await streamMessages();
    const victim = 'meridian.beijing.state.victim';
    // Three ways that work inside the application's account.
    expect((await create('asker', {})).json()).toMatchObject({ name: 'asker' });
    connection.publish('$JS.API.CONSUMER.INFO.EVENTS.asker', '', { reply: victim });
    connection.publish('$JS.API.CONSUMER.MSG.NEXT.EVENTS.asker', '{"batch":10,"no_wait":true}', { reply: victim });
    expect((await create('pusher', { deliver_subject: victim })).json()).toMatchObject({ name: 'pusher' });
    expect((await create('other', {})).json()).toMatchObject({ name: 'other' }); // the broker is done with those before
    expect(await streamMessages()).toEqual(before);
    const { connection: sync } = await session('sync');
    await sync.request(victim, 'a record', { timeout: 5000 });
    expect((await streamMessages()).STATE).toBe((before.STATE ?? 0) + 1);
  });

  test("JetStream's other door, by the name of the domain, is the same door", async () => {
    const { refusals } = await session('consumer');
    const purge = 'API.STREAM.PURGE.EVENTS';
    expect(await refusals((client) => client.publish(`$JS.beijing.${purge}`, '{}'))).toEqual([`publish $JS.${purge}`]);
  });

  test('the filter of a consumer cannot differ from what the permission was checked for', async () => {
    const { connection } = await session('worker');
    const claimed = subject('task', { target: 'beijing', class: 'normal', model: '*' });
    const config = { name: 'sly', filter_subject: 'meridian.beijing.task.>', ack_policy: 'explicit' };
    const answer = await connection.request(
      `$JS.API.CONSUMER.CREATE.TASKS.sly.${claimed}`,
      JSON.stringify({ stream_name: 'TASKS', config }),
      { timeout: 5000 },
    );
    expect(answer.json()).toMatchObject({
      error: { description: expect.stringContaining('did not match filtered subject') },
    });
  });
});

describe('connections', () => {
  const tlsOf = async (folder: string) => {
    const read = (name: string) => readFile(join(folder, `${name}.pem`), 'utf8');
    return { ca: await read('ca'), cert: await read('cert'), key: await read('key') };
  };
  const authenticated = async () => nkeyAuthenticator(await readFile(beijing.credentials.seedFiles.worker));

  test('need TLS, a certificate of our authority, and a key that is known', async () => {
    const tls = await tlsOf(beijing.credentials.certificates.worker);
    const authenticator = await authenticated();
    expect(await attempt({ tls, authenticator })).toBe('connected');
    expect(await attempt({ authenticator, servers: `nats://127.0.0.1:${beijing.ports.client}`, tls: null })).toBe(
      'refused',
    );
    expect(await attempt({ tls: { ca: tls.ca }, authenticator })).toBe('refused');
    expect(await attempt({ tls })).toBe('refused');
    expect(await attempt({ tls, user: 'shanghai', pass: beijing.credentials.links.shanghai?.password ?? '' })).toBe(
      'refused',
    );
    const unknown = nkeyAuthenticator(nkeys.createUser().getSeed());
    expect(await attempt({ tls, authenticator: unknown })).toBe('refused');
    const authority = await createAuthority();
    const identity = await createIdentity(authority, { role: 'worker', region: 'beijing', name: '1' });
    const [cert, key] = [identity.cert.toString(), identity.key.toString()];
    expect(await attempt({ tls: { ca: tls.ca, cert, key }, authenticator })).toBe('refused');
    // The other way round: a broker that our authority does not know is not talked to.
    expect(await attempt({ tls: { ca: authority.certificatePem, cert: tls.cert, key: tls.key }, authenticator })).toBe(
      'refused',
    );
  });

  test('in plaintext get no further than the greeting, on the client port and on the leaf port', async () => {
    for (const port of [beijing.ports.client, beijing.ports.leaf]) {
      const { greeting, answer } = await plaintext(port, 'CONNECT {"verbose":false,"tls_required":false}\r\nPING\r\n');
      expect(JSON.parse(greeting.replace(/^INFO /, ''))).toMatchObject({ tls_required: true, tls_verify: true });
      expect(answer).not.toContain('PONG');
    }
  });
});

describe('a peer that was taken over', () => {
  test('cannot speak for another region, nor reach streams or what stays in the region', async () => {
    await brokers.of('shanghai').kill();
    const rogue = await startRogue();
    try {
      const heard: string[] = [];
      const auditor = (await session('auditor')).connection;
      auditor.subscribe('>', { callback: (_, message) => void heard.push(message.subject) });
      await auditor.flush();
      const telemetry = subject('telemetry', { origin: 'shanghai' });
      await until(() => {
        rogue.connection.publish(telemetry);
        return heard.includes(telemetry) || 'the rogue is not connected';
      });
      const before = await streamMessages();
      heard.length = 0;
      for (const row of Object.values(SUBJECTS)) rogue.connection.publish(oneOf(row.pattern, 'guangzhou'));
      for (const row of Object.values(SUBJECTS))
        if (row.crossing !== 'service') rogue.connection.publish(oneOf(row.pattern, 'beijing'));
      for (const api of ['$JS.API', '$JS.beijing.API'])
        for (const { name } of STREAMS) rogue.connection.publish(`${api}.STREAM.PURGE.${name}`, '{}');
      rogue.connection.publish('_INBOX_scheduler.x');
      rogue.connection.publish('$SYS.REQ.SERVER.PING');
      rogue.connection.publish(subject('delta', { origin: 'shanghai' }), 'last');
      await until(() => heard.includes('meridian.shanghai.sync.delta'));
      // The counting above is heard too, some of it late.
      const counting = /^\$JS\.API\.STREAM\.INFO|^_INBOX_initializer|^\$JS\.EVENT\.ADVISORY\.API$/;
      expect(heard.filter((name) => name !== telemetry && !counting.test(name))).toEqual([
        'meridian.shanghai.sync.delta',
      ]);
      expect(await streamMessages()).toEqual(before);
      for (const secret of ['meridian.beijing.spans', 'meridian.beijing.job.x.x'])
        rogue.connection.subscribe(secret, { callback: (_, message) => void heard.push(`leaked ${message.subject}`) });
      rogue.connection.subscribe('>', {
        callback: (_, message) => void (message.string() === 'secret' && heard.push(`leaked ${message.subject}`)),
      });
      await rogue.connection.flush();
      const scheduler = (await session('scheduler')).connection;
      scheduler.publish('meridian.beijing.spans', 'secret');
      await scheduler.request('meridian.beijing.job.x.x', 'secret', { timeout: 5000 });
      scheduler.publish(subject('telemetry', { origin: 'beijing' }), 'secret');
      await until(() => heard.some((name) => name.startsWith('leaked')));
      expect(heard.filter((name) => name.startsWith('leaked'))).toEqual(['leaked meridian.beijing.telemetry']);
    } finally {
      await rogue.stop();
      await brokers.of('shanghai').launch();
    }
  });

  /** A broker with the secrets of shanghai's, whose operator may say anything on the link to beijing. */
  async function startRogue(): Promise<{ connection: NatsConnection; stop(): Promise<void> }> {
    const { ports, view, credentials } = brokers.of('shanghai');
    const broker = credentials.certificates.broker;
    const tls = `tls { cert_file: "${broker}/cert.pem", key_file: "${broker}/key.pem", ca_file: "${broker}/ca.pem" }`;
    const password = credentials.links.beijing?.password;
    const address = view.regions.find((region) => region.name === 'beijing')?.leafAddress;
    const configuration = join(directory, 'rogue.conf');
    await writeFile(
      configuration,
      `listen: 127.0.0.1:${ports.client}\nleafnodes { reconnect: 1, remotes: [ { url: "tls://shanghai:${password}@${address}", ${tls} } ] }\n`,
    );
    const child = spawn(natsServerBinary(), ['-c', configuration], { stdio: 'ignore' });
    const connection = await connect({
      servers: `nats://127.0.0.1:${ports.client}`,
      waitOnFirstConnect: true,
      reconnectTimeWait: 50,
      maxReconnectAttempts: 100,
    });
    const stop = async () => {
      await connection.close();
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill();
      await ended;
    };
    return { connection, stop };
  }
});

describe('what is stored', () => {
  test('cannot be read from the disk', async () => {
    const scheduler = (await session('scheduler')).connection;
    const marker = 'a-picture-of-a-confidential-thing';
    await scheduler.request(subject('job', { origin: 'beijing', job: marker, task: 't' }), marker, { timeout: 5000 });
    const store = join(directory, 'brokers', 'beijing', 'store');
    let files = 0;
    for (const entry of await readdir(store, { recursive: true, withFileTypes: true }))
      if (entry.isFile()) {
        files++;
        expect((await readFile(join(entry.parentPath, entry.name))).includes(marker)).toBe(false);
      }
    expect(files).toBeGreaterThan(0);
  });
});

describe('nats-server accepts the configuration', () => {
  const check = (file: string, environment: NodeJS.ProcessEnv = {}) =>
    promisify(execFile)(natsServerBinary(), ['-t', '-c', file], { env: { ...process.env, ...environment } });

  test('of every region, with and without an auditor, alone, and with the storage key from its environment', async () => {
    const pem = (name: string) => join(beijing.credentials.certificates.broker, `${name}.pem`);
    const common = {
      ...{ region: 'beijing', ports: { client: 4222, leaf: 7422 }, storeDirectory: join(directory, 'checked') },
      ...{ certificates: { ca: pem('ca'), cert: pem('cert'), key: pem('key') }, listenHost: '127.0.0.1' },
      ...{
        publicKeys: beijing.credentials.publicKeys,
        links: beijing.credentials.links,
        advertise: 'beijing.example:7422',
      },
    };
    const alone = { regions: brokers.topology.regions.slice(0, 1), links: [] };
    for (const topology of [brokers.topology, alone])
      for (const auditor of [true, false]) {
        const file = join(directory, 'checked.conf');
        await writeFile(file, natsConfig({ ...common, topology, auditor }));
        await expect(check(file, { JS_KEY: beijing.credentials.jetstreamKey })).resolves.toMatchObject({
          stderr: expect.stringContaining('is valid'),
        });
        await expect(check(file)).rejects.toMatchObject({ stderr: expect.stringContaining('JS_KEY') });
      }
    await expect(check(brokers.of('shanghai').configurationFile)).resolves.toBeDefined();
  });
});
