import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { HybridLogicalClock, VersionVector } from '@meridian/causality';
import { type Role, subject } from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import { connectNats, Emitter, type MessageBus, NatsAdmin, type NatsDialOptions } from '@meridian/messaging';
import { loadTls } from '@meridian/rpc';
import { createLogger, systemClock } from '@meridian/runtime';
import { createNoopMeter } from '@opentelemetry/api';
import { collect, failed } from '../contract/bus-harness.ts';
import { type RegionBrokers, startRegionBrokers, until } from '../support/region-brokers.ts';

/**
 * Goal: the message bus across regions, with the product's brokers, TLS, keys and permissions, over emulated links.
 * What the services rely on: a receipt of another region's stream in one round trip without any right on its JetStream,
 * a doubt that ends at the time-out when the link is cut, no claim lost or held by a fetch that was left.
 */
const ROUND_TRIP_MS = 50;
const QUEUE = subject('task', { target: 'shanghai', class: 'normal', model: 'm' });
const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });
let directory: string;
let brokers: RegionBrokers;
let opened: MessageBus[] = [];
let incarnations = 0;

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'meridian-bus-'));
  brokers = await startRegionBrokers({ regions: ['beijing', 'shanghai'], directory });
  for (const region of ['beijing', 'shanghai']) {
    const admin = await NatsAdmin.connect(dial(region, 'initializer'));
    await admin.createStreams(region);
    await admin.verify(region);
    await admin.close();
  }
}, 60_000);

afterEach(async () => {
  brokers.emulator.heal();
  await Promise.all(opened.map((bus) => bus.close()));
  opened = [];
});

afterAll(async () => {
  await brokers?.stop();
  await rm(directory, { recursive: true, force: true });
});

function dial(region: string, role: 'initializer' | 'scheduler' | 'worker' | 'sync' | 'consumer'): NatsDialOptions {
  const { clientUrl, credentials } = brokers.of(region);
  return {
    url: clientUrl,
    region,
    role: role satisfies Role,
    name: `${region}-${role}`,
    seedFile: credentials.seedFiles[role],
    // A reader of events has a key of its own and the certificate of a client.
    tls: loadTls(role === 'consumer' ? brokers.installation.client : credentials.certificates[role]),
    logger,
    clock: systemClock,
  };
}

async function open(region: string, role: 'scheduler' | 'worker' | 'sync' | 'consumer'): Promise<MessageBus> {
  const emitter = new Emitter({
    region,
    service: role,
    replica: '1',
    incarnation: `i${++incarnations}`,
    clock: systemClock,
    hlc: new HybridLogicalClock(systemClock.nowMs, { driftMaxMs: 1000 }),
    knowledge: () => VersionVector.EMPTY,
  });
  const bus = await connectNats({ ...dial(region, role), emitter, meter: createNoopMeter() });
  opened.push(bus);
  return bus;
}

const claim = (taskId: string) => ({ type: 'meridian.task.claim.v1', data: { taskId } }) as const;
const consumer = (bus: MessageBus) =>
  bus.consumer('TASKS', {
    name: 'normal_m',
    filter: QUEUE,
    type: 'meridian.task.claim.v1',
    // Far longer than this test: nothing here may lean on it.
    ackWaitMs: 120_000,
    maxDeliver: -1,
    maxAckPending: 1000,
  });

describe('a claim for another region', () => {
  test('is confirmed by its stream in one round trip, pulled there once, and acknowledged', async () => {
    const beijing = await open('beijing', 'scheduler');
    const worker = await open('shanghai', 'worker');
    const pull = await consumer(worker);
    await beijing.publishDurable(QUEUE, claim('first'));
    const started = performance.now();
    const sent = await Promise.all(
      Array.from({ length: 50 }, (_, n) => beijing.publishDurable(QUEUE, claim(`t${n}`), { messageId: `t${n}#1` })),
    );
    const tookMs = performance.now() - started;
    expect(tookMs).toBeGreaterThanOrEqual(ROUND_TRIP_MS);
    // One after the other they would take 50 round trips.
    expect(tookMs).toBeLessThan(25 * ROUND_TRIP_MS);
    expect(new Set(sent.map(({ stream, domain }) => `${stream} ${domain}`))).toEqual(new Set(['TASKS shanghai']));
    const again = await beijing.publishDurable(QUEUE, claim('t0'), { messageId: 't0#1' });
    expect(again).toMatchObject({ duplicate: true, sequence: sent[0]?.sequence });
    const seen: string[] = [];
    for await (const delivery of pull.fetch(51, 5000)) {
      expect(delivery.envelope.source).toBe('/beijing/scheduler/1');
      seen.push(delivery.data.taskId);
      delivery.ack();
    }
    expect(seen.toSorted()).toEqual(['first', ...Array.from({ length: 50 }, (_, n) => `t${n}`)].toSorted());
    const owner = await open('shanghai', 'scheduler');
    await until(async () => (await owner.streamState('TASKS')).messages === 0 || 'claims are left');
  });

  test('is in doubt when the link is cut, and stored once when tried again', async () => {
    const beijing = await open('beijing', 'scheduler');
    const shanghai = await open('shanghai', 'scheduler');
    brokers.emulator.blackhole('beijing', 'shanghai');
    const doubt = failed(beijing.publishDurable(QUEUE, claim('d'), { messageId: 'd#1', timeoutMs: 500 }));
    await beijing.publishDurable(subject('task', { target: 'beijing', class: 'normal', model: 'm' }), claim('local'));
    expect(await doubt).toMatchObject({ code: 'UNAVAILABLE', reason: 'NO_PUBACK', retryable: true });
    brokers.emulator.heal();
    await until(async () => {
      const sent = await beijing
        .publishDurable(QUEUE, claim('d'), { messageId: 'd#1', timeoutMs: 1000 })
        .catch(() => undefined);
      return sent !== undefined || 'the link is not back';
    });
    expect((await shanghai.streamState('TASKS')).messages).toBe(1);
    for await (const delivery of (await consumer(await open('shanghai', 'worker'))).fetch(1, 5000)) delivery.ack();
  });

  test('is not held by a fetch that was left just before', async () => {
    const beijing = await open('beijing', 'scheduler');
    const pull = await consumer(await open('shanghai', 'worker'));
    for (let round = 0; round < 5; round++) {
      const abort = new AbortController();
      const left = (async () => {
        for await (const _ of pull.fetch(4, 30_000, abort.signal)) throw new Error('nothing was sent yet');
      })();
      const placed = beijing.publishDurable(QUEUE, claim(`r${round}`));
      abort.abort();
      await left;
      await placed;
      const taken = await collect(pull.fetch(1, 10_000));
      for (const delivery of taken) delivery.ack();
      expect(taken.map((delivery) => delivery.data.taskId)).toEqual([`r${round}`]);
    }
  });
});

test('a request is answered from another region; its failure comes as it was thrown', async () => {
  const beijing = await open('beijing', 'scheduler');
  const shanghai = await open('shanghai', 'scheduler');
  const ping = subject('ping', { target: 'shanghai' });
  let refuse = false;
  shanghai.serve(ping, 'meridian.region.ping.v1', async () => {
    if (refuse) throw new Failure('FAILED_PRECONDITION', 'not now', { reason: 'NOT_NOW' });
    return { type: 'meridian.region.pong.v1', data: { region: 'shanghai' } };
  });
  const ask = () =>
    beijing.request(ping, { type: 'meridian.region.ping.v1', data: {} }, 'meridian.region.pong.v1', {
      timeoutMs: 2000,
    });
  await until(async () => (await ask().catch(() => undefined)) !== undefined || 'not served yet');
  expect((await ask()).envelope.source).toBe('/shanghai/scheduler/1');
  refuse = true;
  expect(await failed(ask())).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'NOT_NOW' });
});

test('the roles of the product may do what their services do with the bus', async () => {
  const scheduler = await open('beijing', 'scheduler');
  const sync = await open('beijing', 'sync');
  const job = subject('job', { origin: 'beijing', job: 'a', task: 'job' });
  await scheduler.publishDurable(job, { type: 'meridian.job.record.v1', data: {} }, { expectedLastSubjectSequence: 0 });
  const all = subject('job', { origin: 'beijing', job: '*', task: '*' });
  const read = await collect(scheduler.lastBySubject('JOBS', all, 'meridian.job.record.v1'));
  expect(read.map((record) => record.subject)).toEqual([job]);
  expect(await scheduler.getLast('JOBS', job, 'meridian.job.record.v1')).toBeDefined();
  expect(await scheduler.purge('JOBS', job)).toBe(1);
  const key = subject('state', { origin: 'beijing', key: 'model/x' });
  await sync.publishDurable(key, { type: 'meridian.state.record.v1', data: {} });
  const state = subject('state', { origin: 'beijing', key: '*' });
  expect(await collect(sync.lastBySubject('STATE', state, 'meridian.state.record.v1'))).toHaveLength(1);
  expect((await sync.getLast('STATE', key, 'meridian.state.record.v1'))?.subject).toBe(key);
  expect((await failed(sync.streamState('JOBS'))).code).toBe('PERMISSION_DENIED');
});

test('a reader of events takes them through a durable consumer and acknowledges them', async () => {
  const scheduler = await open('beijing', 'scheduler');
  const reader = await open('beijing', 'consumer');
  const event = (verb: string) => subject('event', { origin: 'beijing', tenant: 'public', entity: 'job', verb });
  const live: string[] = [];
  reader.subscribe(event('*'), 'meridian.event.tasks-placed.v1', (message) => live.push(message.data.jobId));
  const pull = await reader.consumer('EVENTS', {
    name: 'reader',
    filter: event('*'),
    type: 'meridian.event.tasks-placed.v1',
    ackWaitMs: 60_000,
    maxDeliver: -1,
    maxAckPending: 100,
  });
  const jobs = ['a', 'b', 'c', 'd', 'e'];
  for (const jobId of jobs)
    await scheduler.publishDurable(event('placed'), { type: 'meridian.event.tasks-placed.v1', data: { jobId } });
  const read = await collect(pull.fetch(jobs.length, 5000));
  expect(read.map((delivery) => delivery.data.jobId)).toEqual(jobs);
  for (const delivery of read) delivery.ack();
  await until(async () => (await pull.pending()).unacked === 0 || 'not all are acknowledged');
  expect(await collect(pull.fetch(1, 0))).toEqual([]);
  await until(() => live.length === jobs.length || 'not all were heard live');
  expect(live).toEqual(jobs);
});

test('the broker of another region, or a service with a valid certificate, is not taken for the own broker', async () => {
  const wrong = { ...dial('beijing', 'scheduler'), url: brokers.of('shanghai').clientUrl, connectTimeoutMs: 500 };
  const refused = await failed(NatsAdmin.connect(wrong));
  expect(refused).toMatchObject({ code: 'UNAVAILABLE', reason: 'BROKER_UNREACHABLE' });
  expect(String(refused.cause)).toContain('does not name a broker of beijing');
});
