import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { subject } from '@meridian/contracts';
import { roundTripMs } from '@meridian/topology';
import { jetstreamManager } from '@nats-io/jetstream';
import type { Msg, NatsConnection } from '@nats-io/transport-node';
import { connectRaw, plaintext } from '../support/raw-nats.ts';
import { leafRoute, type RegionBrokers, startRegionBrokers, until } from '../support/region-brokers.ts';

const REGIONS = ['beijing', 'shanghai', 'guangzhou'] as const;
type Name = (typeof REGIONS)[number];
const PAIRS = [
  ['beijing', 'shanghai'],
  ['guangzhou', 'beijing'],
  ['shanghai', 'guangzhou'],
] as const;

let directory: string;
let brokers: RegionBrokers;
const schedulers = new Map<Name, NatsConnection>();
const auditors = new Map<Name, NatsConnection>();
const heard = new Map<Name, Msg[]>();

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'topology-'));
  brokers = await startRegionBrokers({ directory, auditor: true });
  for (const region of REGIONS) {
    await createTasks(region);
    schedulers.set(region, (await connectRaw(brokers.of(region), 'scheduler')).connection);
    const { connection } = await connectRaw(brokers.of(region), 'auditor');
    auditors.set(region, connection);
    const messages: Msg[] = [];
    heard.set(region, messages);
    connection.subscribe('meridian.>', { callback: (_, message) => void messages.push(message) });
    await connection.flush();
  }
  await brokers.connected();
});

afterAll(async () => {
  await Promise.all([...schedulers.values(), ...auditors.values()].map((connection) => connection.close()));
  await brokers.stop();
  await rm(directory, { recursive: true, force: true });
});

async function createTasks(region: Name): Promise<void> {
  const { connection } = await connectRaw(brokers.of(region), 'initializer');
  const manager = await jetstreamManager(connection);
  await manager.streams.add({
    name: 'TASKS',
    subjects: [subject('task', { target: region, class: '*', model: '*' })],
    retention: 'workqueue',
  });
  await connection.close();
}

const scheduler = (region: Name) => schedulers.get(region) as NatsConnection;
const task = (target: string, model = 'm') => subject('task', { target, class: 'normal', model });

interface PublishAck {
  readonly stream: string;
  readonly domain: string;
  readonly seq: number;
}

async function publishTask(from: Name, target: Name, timeoutMs = 5000): Promise<PublishAck> {
  const answer = await scheduler(from).request(task(target), 'claim', { timeout: timeoutMs });
  return answer.json<PublishAck>();
}

/** Resolves when a task of one region has reached the other's stream again. */
async function reaches(from: Name, target: Name): Promise<void> {
  await until(async () => {
    try {
      return (await publishTask(from, target, 1000)).domain === target;
    } catch {
      return `no task gets from ${from} to ${target}`;
    }
  });
}

async function accountsOf(region: Name): Promise<string[]> {
  return (await brokers.of(region).leafConnections()).map((leaf) => leaf.account).sort();
}

describe('between regions', () => {
  test.each(PAIRS)('a task from %s is in the stream of %s after one round trip', async (from, target) => {
    const configuredMs = roundTripMs(brokers.topology, from, target);
    await reaches(from, target);
    const samples: number[] = [];
    for (let i = 0; i < 5; i++) {
      const startMs = performance.now();
      expect(await publishTask(from, target)).toMatchObject({ stream: 'TASKS', domain: target });
      samples.push(performance.now() - startMs);
    }
    const bestMs = Math.min(...samples);
    expect(bestMs).toBeGreaterThanOrEqual(configuredMs - 1);
    expect(bestMs).toBeLessThan(2 * configuredMs);
  });

  test('one acknowledgement for each task, and it is stored in one region only', async () => {
    const replies: PublishAck[] = [];
    const inbox = '_INBOX_scheduler.acknowledgements';
    const subscription = scheduler('beijing').subscribe(inbox, {
      callback: (_, message) => void replies.push(message.json<PublishAck>()),
    });
    scheduler('beijing').publish(task('guangzhou', 'once'), 'claim', { reply: inbox });
    await until(() => replies.length === 1);
    await publishTask('beijing', 'guangzhou'); // two round trips more: a second answer would be here
    expect(replies.map((ack) => ack.domain)).toEqual(['guangzhou']);
    subscription.unsubscribe();
  });

  test('a request is answered by the target, in one round trip', async () => {
    for (const region of REGIONS)
      scheduler(region).subscribe(subject('ping', { target: region }), {
        queue: 'scheduler',
        callback: (_, message) => void message.respond(`pong of ${region}`),
      });
    await Promise.all(REGIONS.map((region) => scheduler(region).flush()));
    for (const [from, target] of PAIRS) {
      const ping = () => scheduler(from).request(subject('ping', { target }), 'ping', { timeout: 1000 });
      await until(() =>
        ping().then(
          () => true,
          () => `no answer from ${target}`,
        ),
      );
      const startMs = performance.now();
      expect((await ping()).string()).toBe(`pong of ${target}`);
      const tookMs = performance.now() - startMs;
      expect(tookMs).toBeGreaterThanOrEqual(roundTripMs(brokers.topology, from, target) - 1);
      expect(tookMs).toBeLessThan(2 * roundTripMs(brokers.topology, from, target));
    }
  });

  test('a stream of the origin reaches every region once, what does not cross stays', async () => {
    const marked = (message: Msg) => message.string() === 'marked';
    for (const kept of [
      subject('spans', { origin: 'guangzhou' }),
      subject('job', { origin: 'guangzhou', job: 'j', task: 't' }),
      subject('event', { origin: 'guangzhou', tenant: 'public', entity: 'job', verb: 'done' }),
      subject('audit', { origin: 'guangzhou', kind: 'k' }),
    ])
      scheduler('guangzhou').publish(kept, 'marked');
    scheduler('guangzhou').publish(subject('telemetry', { origin: 'guangzhou' }), 'marked');
    const arrived = (region: Name) =>
      heard
        .get(region)
        ?.filter(marked)
        .map((message) => message.subject) ?? [];
    // Telemetry was sent last: what is not there before it does not come.
    for (const region of REGIONS) await until(() => arrived(region).includes('meridian.guangzhou.telemetry'));
    expect(arrived('beijing')).toEqual(['meridian.guangzhou.telemetry']);
    expect(arrived('shanghai')).toEqual(['meridian.guangzhou.telemetry']);
    expect(arrived('guangzhou')).toHaveLength(5);
  });
});

describe('all traffic goes through the links of the topology', () => {
  test('brokers are connected through the emulator and nowhere else', async () => {
    for (const [i, region] of REGIONS.entries()) {
      const leafs = await brokers.of(region).leafConnections();
      expect(leafs.map((leaf) => leaf.account).sort()).toEqual(
        peersOf(region)
          .map((peer) => `L_${peer}`)
          .sort(),
      );
      for (const dialled of REGIONS.slice(0, i)) {
        const route = brokers.emulator.stats().find((stats) => stats.name === leafRoute(region, dialled));
        expect(leafs.find((leaf) => leaf.account === `L_${dialled}`)?.port).toBe(route?.port);
        expect(route?.connections).toBe(1);
      }
    }
    // Each accepted leaf is the far end of one of these, so there are no others.
    const open = brokers.emulator.stats().reduce((sum, stats) => sum + stats.connections, 0);
    expect(open).toBe(PAIRS.length);
  });

  test('brokers tell nobody an address that leads round the links', async () => {
    const real = REGIONS.flatMap((region) => [brokers.of(region).ports.leaf, brokers.of(region).ports.client]);
    for (const region of ['beijing', 'shanghai'] as const) {
      const client = await plaintext(brokers.of(region).ports.client, 'PING\r\n');
      const leaf = await plaintext(brokers.of(region).ports.leaf, 'PING\r\n');
      const told = [client.greeting, leaf.greeting].map((greeting) => JSON.parse(greeting.replace(/^INFO /, '')));
      for (const info of told) {
        const urls = [info.connect_urls, info.ws_connect_urls, info.leafnode_urls].flat().filter(Boolean) as string[];
        for (const port of real) expect(urls.some((url) => url.endsWith(`:${port}`))).toBe(false);
      }
    }
  });
});

const peersOf = (region: Name) => REGIONS.filter((peer) => peer !== region);

describe('a region that is cut off', () => {
  test('works alone, hears nothing, and is back after the link heals', async () => {
    const before = heard.get('beijing')?.length ?? 0;
    for (const peer of peersOf('beijing')) brokers.emulator.cut('beijing', peer);
    await until(async () => (await accountsOf('beijing')).length === 0);
    // Each end notices for itself.
    await until(async () => !(await accountsOf('shanghai')).includes('L_beijing'));
    await until(async () => !(await accountsOf('guangzhou')).includes('L_beijing'));
    expect(await accountsOf('shanghai')).toEqual(['L_guangzhou']);
    expect(await accountsOf('guangzhou')).toEqual(['L_shanghai']);
    // Alone it stores, hands out and creates.
    expect(await publishTask('beijing', 'beijing')).toMatchObject({ domain: 'beijing' });
    const { connection: worker } = await connectRaw(brokers.of('beijing'), 'worker');
    expect(await createConsumer(worker, 'alone')).toMatchObject({ name: 'alone' });
    expect(await pullOne(worker, 'alone')).toBe('claim');
    await worker.close();
    // The others go on with each other; nothing reaches the lost one, or comes from it.
    expect(await publishTask('shanghai', 'guangzhou')).toMatchObject({ domain: 'guangzhou' });
    scheduler('shanghai').publish(subject('telemetry', { origin: 'shanghai' }), 'cut');
    await expect(publishTask('shanghai', 'beijing', 1000)).rejects.toThrow();
    await expect(publishTask('beijing', 'shanghai', 1000)).rejects.toThrow();
    await until(() => heard.get('guangzhou')?.some((message) => message.string() === 'cut') === true);
    const own = heard.get('beijing')?.slice(before) ?? [];
    expect(own.filter((message) => !/^meridian\.[a-z]+\.task\./.test(message.subject))).toEqual([]);
    const healedAtMs = performance.now();
    brokers.emulator.heal();
    await reaches('shanghai', 'beijing');
    await reaches('beijing', 'guangzhou');
    expect(performance.now() - healedAtMs).toBeLessThan(10_000);
    await brokers.connected();
  });

  test('a black hole is noticed within seconds, and forgotten after it', async () => {
    brokers.emulator.blackhole('beijing', 'shanghai');
    const startMs = performance.now();
    await until(async () => !(await accountsOf('beijing')).includes('L_shanghai'));
    await until(async () => !(await accountsOf('shanghai')).includes('L_beijing'));
    expect(performance.now() - startMs).toBeLessThan(15_000);
    expect(await publishTask('beijing', 'guangzhou')).toMatchObject({ domain: 'guangzhou' });
    brokers.emulator.heal('beijing', 'shanghai');
    await reaches('beijing', 'shanghai');
    await reaches('shanghai', 'beijing');
    await brokers.connected();
  });

  test('a broker that restarts while cut off has its stream and works alone', async () => {
    for (const peer of peersOf('shanghai')) brokers.emulator.cut('shanghai', peer);
    const before = await publishTask('shanghai', 'shanghai');
    await brokers.of('shanghai').kill();
    await brokers.of('shanghai').launch();
    await reaches('shanghai', 'shanghai');
    expect((await publishTask('shanghai', 'shanghai')).seq).toBeGreaterThan(before.seq);
    brokers.emulator.heal();
    await reaches('beijing', 'shanghai');
    await reaches('shanghai', 'guangzhou');
    await brokers.connected();
  });
});

async function createConsumer(worker: NatsConnection, name: string): Promise<unknown> {
  const filter = subject('task', { target: 'beijing', class: 'normal', model: '*' });
  const config = { name, durable_name: name, filter_subject: filter, ack_policy: 'explicit', deliver_policy: 'all' };
  const request = JSON.stringify({ stream_name: 'TASKS', config });
  const answer = await worker.request(`$JS.API.CONSUMER.CREATE.TASKS.${name}.${filter}`, request, { timeout: 2000 });
  return answer.json();
}

/** The payload of the next message; it comes with its own subject, so it needs a subscription of its own. */
async function pullOne(worker: NatsConnection, consumer: string): Promise<string> {
  const inbox = '_INBOX_worker.pull';
  const subscription = worker.subscribe(inbox, { max: 1, timeout: 5000 });
  worker.publish(`$JS.API.CONSUMER.MSG.NEXT.TASKS.${consumer}`, '{"batch":1}', { reply: inbox });
  for await (const message of subscription) return message.string();
  throw new Error('no message');
}
