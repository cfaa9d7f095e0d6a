import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { HybridLogicalClock, VersionVector } from '@meridian/causality';
import { JobState } from '@meridian/contracts/recognition';
import { JobRecordSchema, TaskRecordSchema } from '@meridian/contracts/task';
import { Emitter, InMemoryBroker, InMemoryBus } from '@meridian/messaging';
import { createLogger, seededRandom, VirtualClock } from '@meridian/runtime';
import { createNoopMeter } from '@opentelemetry/api';
import { Job } from '../jobs/job.ts';
import { JobIndex } from '../jobs/job-index.ts';
import { JobStore } from '../outbound/job-store.ts';
import { NOTHING_ASKED } from '../placement/residency.ts';
import { Spool } from '../spool/spool.ts';
import { JobRetention } from './job-retention.ts';
import { digestNames } from './job-work.ts';

/** Goal: ended jobs go entirely after their retention, and budgets hold. Method: virtual clock, real disk, bus in memory. */
const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });
const PICTURE = Buffer.from('picture');
const DIGEST = Buffer.from('d3bd0d0ec5e3e0e8be4a6c9c8ad1f9e1fdf8cd3ec6ff0fbd9d9e8a1d8d0ea0a7', 'hex');
let directory: string;
let world: Awaited<ReturnType<typeof open>>;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'meridian-retention-'));
  world = await open();
});
afterEach(async () => {
  await world.bus.close();
  await rm(directory, { recursive: true, force: true });
});

async function open(streamBudgetBytes = 1e9) {
  const clock = new VirtualClock(1_000_000);
  const emitter = new Emitter({
    region: 'beijing',
    service: 'scheduler',
    replica: '1',
    incarnation: 'i1',
    clock,
    hlc: new HybridLogicalClock(() => clock.nowMs(), { driftMaxMs: 1000 }),
    knowledge: () => VersionVector.EMPTY,
  });
  const broker = new InMemoryBroker({ clock, regions: ['beijing'] });
  const bus = new InMemoryBus({ broker, emitter, role: 'scheduler', logger, meter: createNoopMeter(), clock });
  const store = new JobStore({ bus, region: 'beijing', replica: '1', clock, random: seededRandom(1), logger });
  const spool = new Spool({ directory, budgetBytes: 1e9, orphanKeepMs: 1000, clock, logger });
  await spool.open();
  const index = new JobIndex('beijing', { jobsMax: 10, tasksMax: 100 });
  const retention = new JobRetention({ index, store, spool, clock, logger, streamBudgetBytes, openTasks: () => 0 });
  return { clock, bus, store, spool, index, retention };
}

/** An ended job with one picture and one result. */
async function endedJob(jobId: string, purgeAfterMs: number): Promise<Job> {
  const { store, spool, index } = world;
  const facts = {
    jobId,
    tenant: 'public',
    asked: NOTHING_ASKED,
    priority: 'normal' as const,
    model: 'm',
    modelDigest: 'd',
    acceptedMs: 0,
    deadlineMs: 100,
    headerDigest: '00',
    requires: [],
  };
  const record = create(JobRecordSchema, { job: { jobId, state: JobState.FINISHED } });
  const ref = await store.create(jobId, record, []);
  if (ref === undefined) throw new Error('the job exists');
  const result = create(TaskRecordSchema, { result: { jobId, index: 0 }, fence: 1n });
  await store.commit(jobId, 0, result, { causes: [], tenant: 'public' });
  const job = new Job(facts, { digests: DIGEST, sizes: new Uint32Array([PICTURE.length]) }, ref);
  job.final(job.beginWrite(), { sequence: ref.sequence + 1, index: 0 }, true, 0);
  job.end('finished', 0);
  job.purgeAfterMs = purgeAfterMs;
  index.add(job);
  spool.retain(digestNames(job.pictures));
  return job;
}

describe('retention', () => {
  test('purges a job when it is due, not before: record, result, key, picture', async () => {
    const { clock, retention, index, store, bus } = world;
    await endedJob('beijing-a', clock.nowMs() + 60_000);
    await endedJob('beijing-b', clock.nowMs() + 600_000);
    await retention.start();
    await clock.advanceAsync(59_000);
    expect([index.size, (await bus.streamState('JOBS')).messages]).toEqual([2, 4]);
    await clock.advanceAsync(6_000);
    expect([index.size, (await bus.streamState('JOBS')).messages]).toEqual([1, 2]);
    expect(await store.record('beijing-a')).toBeUndefined();
    await expect(store.result('beijing-c', 0)).rejects.toMatchObject({ reason: 'RESULT_LOST' });
    await retention.stop();
    expect(clock.pendingTimers).toBe(0);
  });

  test('new jobs are refused when records, and those still to be written, would not fit', async () => {
    await world.bus.close();
    world = await open(100_000);
    await world.retention.admit(1000, 5);
    await expect(world.retention.admit(1000, 6)).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'DISK_BUDGET',
      retryDelayMs: 30_000,
    });
  });
});

describe('JobStore', () => {
  test('the first result of a task stays; ours again is found, another one is moved to a new sequence', async () => {
    const { store } = world;
    const options = { causes: [], tenant: 'public' };
    const record = (fence: bigint) => create(TaskRecordSchema, { result: { jobId: 'beijing-a', index: 3 }, fence });
    const first = await store.commit('beijing-a', 3, record(5n), options);
    const again = await store.commit('beijing-a', 3, record(5n), options);
    expect([again.sequence, again.record.fence]).toEqual([first.sequence, 5n]);
    const other = await store.commit('beijing-a', 3, record(6n), options);
    expect(other.record.fence).toBe(5n);
    expect(other.sequence).toBeGreaterThan(first.sequence);
  });

  test('every start has a higher term', async () => {
    expect([await world.store.raiseTerm(), await world.store.raiseTerm()]).toEqual([1, 2]);
  });
});
