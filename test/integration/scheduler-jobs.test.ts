import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { subject } from '@meridian/contracts';
import { JobState, PriorityClass } from '@meridian/contracts/recognition';
import { systemClock } from '@meridian/runtime';
import { type Door, failureOf, numbers, resultsOf, submit } from '../support/scheduler-door.ts';
import { type RunningScheduler, SchedulerWorld, until } from '../support/scheduler-world.ts';

/**
 * Goal: what the scheduler promises of an accepted job, through its real doors.
 * Method: brokers in memory, real gRPC with mutual TLS, workers that follow a script.
 */
let world: SchedulerWorld;
let beijing: RunningScheduler;
let door: Door;

beforeEach(async () => {
  world = await SchedulerWorld.open();
  beijing = await world.start('beijing');
  door = await world.recognition(beijing);
});
afterEach(() => world.close());

describe('a job', () => {
  test('is accepted when all pictures are stored, and every result is seen once, in order', async () => {
    const jobId = await submit(door, 'k', 40);
    expect(jobId).toMatch(/^beijing-[a-z2-7]{26}$/);
    const watching = resultsOf(door, jobId);
    await world.worker('beijing', 'w1', [beijing]);
    const results = await watching;
    expect(results.map(({ index }) => index).sort((a, b) => a - b)).toEqual(numbers(40));
    expect(results.every(({ pictureName, index }) => pictureName === `${index}.jpg`)).toBe(true);
    const { job } = await door.getJob({ jobId });
    expect(job).toMatchObject({ state: JobState.FINISHED, tasks: 40, succeeded: 40, failed: 0 });
    expect((await door.listJobs({})).jobs.map((one) => one.jobId)).toEqual([jobId]);
    expect((await failureOf(door.getJob({ jobId, tenant: 'other' }))).reason).toBe('JOB_UNKNOWN');
  });

  test('is watched from any cursor, over lost connections', async () => {
    await world.worker('beijing', 'w1', [beijing]);
    const jobId = await submit(door, 'k', 30);
    const seen: number[] = [];
    let cursor = 0n;
    for (let ended = false; !ended; ) {
      const leave = new AbortController();
      let count = 0;
      for await (const update of door.watchJob({ jobId, cursor }, { signal: leave.signal })) {
        ended = update.update.case === 'job';
        if (update.update.case !== 'result') break;
        expect(update.cursor).toBeGreaterThan(cursor);
        cursor = update.cursor;
        seen.push(update.update.value.index);
        if (++count === 7) break;
      }
    }
    expect([...seen].sort((a, b) => a - b)).toEqual(numbers(30));
  });

  test('survives a kill of its scheduler: what is final stays, the rest is done again with higher fences', async () => {
    const worker = await world.worker('beijing', 'w1', [beijing]);
    worker.answer = (self, key) => {
      if (self.pictures.length <= 10) self.succeed(key);
    };
    const jobId = await submit(door, 'k', 25);
    const before: bigint[] = [];
    for await (const { cursor } of door.watchJob({ jobId })) if (before.push(cursor) === 10) break;
    await until(() => worker.heldKeys.length > 0);
    const held = worker.heldKeys;
    await beijing.kill();
    beijing = await world.start('beijing');
    door = await world.recognition(beijing);
    worker.attach('beijing', `127.0.0.1:${beijing.port}`);
    worker.answer = (self, key) => self.succeed(key);
    for (const key of held) worker.succeed(key);
    const rest = await resultsOf(door, jobId, before.at(-1));
    expect(rest).toHaveLength(15);
    expect((await resultsOf(door, jobId)).map(({ index }) => index).sort((a, b) => a - b)).toEqual(numbers(25));
    expect((await door.getJob({ jobId })).job).toMatchObject({ state: JobState.FINISHED, succeeded: 25 });
    const fences = new Set(worker.pictures.map((key) => Math.floor(Number(key.split('#')[1]) / 2 ** 20)));
    expect(fences).toEqual(new Set([1, 2]));
  });

  test('drops a second result of the same task', async () => {
    const slow = await world.worker('beijing', 'w1', [beijing]);
    slow.answer = () => undefined;
    const jobId = await submit(door, 'k', 1);
    await until(() => slow.pictures.length === 1);
    const [key = ''] = slow.heldKeys;
    slow.heartbeats = false;
    slow.pulls = false;
    await world.worker('beijing', 'w2', [beijing]);
    const [result] = await resultsOf(door, jobId);
    expect(result).toMatchObject({ worker: 'w2', attempts: 2 });
    slow.heartbeats = true;
    slow.attach('beijing', `127.0.0.1:${beijing.port}`);
    await systemClock.sleep(0);
    slow.succeed(key);
    await until(() => slow.verdicts.some((verdict) => verdict.kind === 'ack' && verdict.key === key));
    expect((await door.getJob({ jobId })).job).toMatchObject({ succeeded: 1 });
    expect(await resultsOf(door, jobId)).toHaveLength(1);
  });

  test('is cancelled: results stay, open tasks end, late ones are dropped, also after a restart', async () => {
    const worker = await world.worker('beijing', 'w1', [beijing]);
    worker.answer = (self, key) => {
      if (self.pictures.length <= 3) self.succeed(key);
    };
    const jobId = await submit(door, 'k', 20);
    await until(async () => ((await door.getJob({ jobId })).job?.succeeded ?? 0) === 3);
    await until(() => worker.heldKeys.length === 4);
    const { job } = await door.cancelJob({ jobId });
    expect(job).toMatchObject({ state: JobState.CANCELLED, succeeded: 3 });
    await until(() => worker.verdicts.filter(({ kind }) => kind === 'cancel').length === 4);
    for (const key of worker.heldKeys) worker.succeed(key);
    expect(await resultsOf(door, jobId)).toHaveLength(3);
    expect((await door.cancelJob({ jobId })).job?.state).toBe(JobState.CANCELLED);
    await beijing.kill();
    beijing = await world.start('beijing');
    door = await world.recognition(beijing);
    expect((await door.getJob({ jobId })).job).toMatchObject({ state: JobState.CANCELLED, succeeded: 3 });
  });

  test('with a poison picture finishes; the picture is a dead letter with the reason', async () => {
    const worker = await world.worker('beijing', 'w1', [beijing]);
    worker.answer = (self, key) => {
      if (key.includes('/2#')) self.fail(key, { code: 'INTERNAL', reason: 'PICTURE_CRASHED_WORKER', retryable: true });
      else self.succeed(key);
    };
    const jobId = await submit(door, 'k', 5);
    const results = await resultsOf(door, jobId);
    const poison = results.find(({ index }) => index === 2);
    expect(poison).toMatchObject({ attempts: 3, outcome: { case: 'error', value: { code: 'INTERNAL' } } });
    const bus = world.bus('beijing', 'scheduler');
    const at = subject('job', { origin: 'beijing', job: 'dead-letter', task: `${jobId}/2` });
    const letter = await bus.getLast('JOBS', at, 'meridian.job.dead-letter.v1');
    expect(letter?.data.attempts.map(({ end }) => end)).toEqual(Array(3).fill('retryable-failure'));
    await bus.close();
  });

  test('that passes its deadline ends every open task with a visible result', async () => {
    const jobId = await submit(door, 'k', 5, { deadlineUnixMs: BigInt(Math.round(systemClock.nowMs() + 300)) });
    const results = await resultsOf(door, jobId);
    expect(results.map(({ outcome }) => (outcome.case === 'error' ? outcome.value.code : ''))).toEqual(
      Array(5).fill('DEADLINE_EXCEEDED'),
    );
  });

  test('of 20 high tasks behind 500 low ones finishes among the next 60', async () => {
    await submit(door, 'low', 500, { priority: PriorityClass.LOW });
    const worker = await world.worker('beijing', 'w1', [beijing]);
    await until(() => worker.pictures.length > 30);
    const high = await submit(door, 'high', 20, { priority: PriorityClass.HIGH });
    const submittedAt = worker.pictures.length;
    await resultsOf(door, high);
    const order = worker.pictures.slice(submittedAt);
    const last = order.findLastIndex((key) => key.startsWith(high));
    expect(order.filter((key) => key.startsWith(high))).toHaveLength(20);
    expect(last).toBeLessThan(60);
  });
});
