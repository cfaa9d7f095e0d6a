import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { HybridLogicalClock, VersionVector } from '@meridian/causality';
import { type PriorityClassName, subject, taskConsumer } from '@meridian/contracts';
import { connectNats, Emitter, type MessageBus, NatsAdmin } from '@meridian/messaging';
import { loadTls } from '@meridian/rpc';
import { createLogger, systemClock } from '@meridian/runtime';
import { ClaimLeftovers } from '@meridian/scheduler';
import { createNoopMeter } from '@opentelemetry/api';
import { type RegionBrokers, startRegionBrokers, until } from '../support/region-brokers.ts';

/**
 * Goal: a region whose broker was killed is not taken for loaded with what it has done already, and loses nothing that it
 * has not. Method: the product's broker, SIGKILL in the middle of acknowledgements, twice.
 */
const MODEL = 'm';
const CLAIMS = 100;
const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });
let directory: string;
let brokers: RegionBrokers;
let incarnations = 0;

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'meridian-leftovers-'));
  brokers = await startRegionBrokers({ regions: ['beijing'], directory });
  const admin = await NatsAdmin.connect(dial('initializer'));
  await admin.createStreams('beijing');
  await admin.close();
}, 60_000);

afterAll(async () => {
  await brokers?.stop();
  await rm(directory, { recursive: true, force: true });
});

function dial(role: 'initializer' | 'scheduler' | 'worker') {
  const { clientUrl: url, credentials } = brokers.of('beijing');
  const tls = loadTls(credentials.certificates[role]);
  return {
    url,
    region: 'beijing',
    role,
    name: role,
    seedFile: credentials.seedFiles[role],
    tls,
    logger,
    clock: systemClock,
  };
}

function open(role: 'scheduler' | 'worker'): Promise<MessageBus> {
  const emitter = new Emitter({
    ...{ region: 'beijing', service: role, replica: '1', incarnation: `i${++incarnations}`, clock: systemClock },
    hlc: new HybridLogicalClock(systemClock.nowMs, { driftMaxMs: 1000 }),
    knowledge: () => VersionVector.EMPTY,
  });
  return connectNats({ ...dial(role), emitter, meter: createNoopMeter() });
}

const queueOf = (priority: PriorityClassName) => subject('task', { target: 'beijing', class: priority, model: MODEL });
const consumerOf = (worker: MessageBus, priority: PriorityClassName = 'normal') =>
  worker.consumer('TASKS', {
    ...{ name: taskConsumer(priority, MODEL), filter: queueOf(priority), type: 'meridian.task.claim.v1' },
    ...{ ackWaitMs: 1_000, maxDeliver: -1, maxAckPending: 1_000 },
  });

/** What the consumer has acknowledged is in its file: the broker writes changes down every 100 ms, if there are any. */
async function isWrittenDown(): Promise<boolean> {
  const store = path.join(directory, 'brokers', 'beijing', 'store', 'jetstream', 'APP', 'streams', 'TASKS');
  const { mtimeMs } = await stat(path.join(store, 'obs', taskConsumer('normal', MODEL), 'o.dat'));
  return systemClock.nowMs() - mtimeMs > 300;
}

async function place(owner: MessageBus, prefix: string): Promise<void> {
  const claims = Array.from({ length: CLAIMS }, (_, n) => ({ taskId: `${prefix}${n}` }));
  await Promise.all(
    claims.map((data) => owner.publishDurable(queueOf('normal'), { type: 'meridian.task.claim.v1', data })),
  );
}

test('ended claims that come back with a killed broker do not count as load, open ones do', async () => {
  const owner = await open('scheduler');
  const worker = await open('worker');
  const pull = await consumerOf(worker);
  for (const priority of ['high', 'low'] as const) await consumerOf(worker, priority);
  const leftovers = new ClaimLeftovers({
    ...{ bus: owner, clock: systemClock, logger, caughtUp: Promise.resolve() },
    models: () => [
      { name: MODEL, isReady: true },
      { name: 'never-served', isReady: false },
    ],
  });
  const stored = () => owner.streamState('TASKS');
  const openClaims = async () => leftovers.openOf(await stored());
  for (const round of ['a', 'b']) {
    const before = (await stored()).messages;
    await place(owner, round);
    expect(await openClaims()).toBe(CLAIMS);
    let taken = 0;
    // Every third one is left open, so that acknowledgements are not in order.
    for await (const delivery of pull.fetch(60, 5_000)) if (taken++ % 3 < 2) delivery.ack();
    await until(async () => (await openClaims()) === 60 || 'not all are acknowledged');
    await until(async () => (await isWrittenDown()) || 'the consumer is not written down');
    await brokers.of('beijing').kill();
    await brokers.of('beijing').launch();
    await until(() => (owner.connected && worker.connected) || 'no connection');
    // What this test is about: without it nothing needs to be counted.
    expect((await stored()).messages).toBeGreaterThan(before + 60);
    const seen = new Set<string>();
    while (seen.size < 60)
      for await (const delivery of pull.fetch(CLAIMS, 200)) {
        seen.add(delivery.data.taskId);
        delivery.ack();
      }
    // At most one look in two seconds; the acknowledgements arrive meanwhile.
    await until(async () => (await openClaims()) === 0 || `${await openClaims()} claims count as open`);
    expect((await stored()).messages).toBeGreaterThan(before);
  }
  await Promise.all([owner.close(), worker.close()]);
}, 60_000);
