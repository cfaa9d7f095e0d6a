import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { JobState } from '@meridian/contracts/recognition';
import { systemClock } from '@meridian/runtime';
import { type Door, failureOf, numbers, soon, submit } from '../support/scheduler-door.ts';
import { aPicture, type RunningScheduler, SchedulerWorld, until } from '../support/scheduler-world.ts';

/**
 * Goal: what the scheduler promises of one picture, through its real doors.
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

describe('a call', () => {
  test('is recognised, with where it ran and where the time went', async () => {
    await world.worker('beijing', 'w1', [beijing]);
    const { result, versionVector } = await door.recognize({ picture: aPicture(1) }, soon);
    expect(result).toMatchObject({ entryRegion: 'beijing', region: 'beijing', worker: 'w1', attempts: 1, jobId: '' });
    expect(result?.outcome.case).toBe('recognition');
    expect(result?.timings?.inferenceMs).toBe(3);
    expect(versionVector).toMatch(/^beijing@/);
  });

  test('requires the record of the model that was chosen, and the tenant’s where there is one; so does a job', async () => {
    const worker = await world.worker('beijing', 'w1', [beijing]);
    await door.recognize({ picture: aPicture(1) }, soon);
    await door.recognize({ picture: aPicture(2), tenant: 'known' }, soon);
    const jobId = await submit(door, 'k', 1, { tenant: 'known' });
    await until(() => worker.claims.length === 3);
    const model = { key: 'model/centernet-320', dot: 'beijing@0000000000001234=7' };
    const tenant = { key: 'tenant/known', dot: 'beijing@0000000000001234=5' };
    const seen = worker.claims.map(({ requiredRecords, requires }) => ({
      requires: [...requires],
      records: requiredRecords.map(({ key, dot }) => ({ key, dot })),
    }));
    const both = { requires: [model.dot, tenant.dot], records: [model, tenant] };
    expect(seen).toEqual([{ requires: [model.dot], records: [model] }, both, both]);
    await until(async () => (await door.getJob({ jobId, tenant: 'known' })).job?.state === JobState.FINISHED);
  });

  test('of a job keeps what it was accepted with over a restart', async () => {
    await submit(door, 'k', 1, { tenant: 'known' });
    await beijing.kill();
    beijing = await world.start('beijing');
    const worker = await world.worker('beijing', 'w1', [beijing]);
    await until(() => worker.claims.length === 1);
    expect(worker.claims[0]?.requiredRecords.map(({ key }) => key)).toEqual(['model/centernet-320', 'tenant/known']);
  });

  test('gets its own error for what is wrong with it, before any work', async () => {
    const worker = await world.worker('beijing', 'w1', [beijing]);
    const reasonOf = async (request: Parameters<Door['recognize']>[0]) => {
      const { code, reason } = await failureOf(door.recognize(request, soon));
      return `${code} ${reason}`;
    };
    const picture = aPicture(1);
    expect(await reasonOf({ picture: new Uint8Array() })).toBe('INVALID_ARGUMENT PICTURE_EMPTY');
    expect(await reasonOf({ picture: Buffer.from('GIF89a……') })).toBe('INVALID_ARGUMENT PICTURE_FORMAT');
    const gif = await failureOf(door.recognize({ picture: Buffer.from('GIF89a……') }, soon));
    expect(gif.message).toBe('the picture is GIF; JPEG, PNG, WebP are accepted: convert it first');
    expect(await reasonOf({ picture: aPicture(1, 16 * 2 ** 20 + 1) })).toBe('INVALID_ARGUMENT PICTURE_TOO_LARGE');
    expect(await reasonOf({ picture, model: 'nope' })).toBe('NOT_FOUND MODEL_UNKNOWN');
    expect(await reasonOf({ picture, residency: { regions: ['atlantis'] } })).toBe('NOT_FOUND REGION_UNKNOWN');
    expect(await reasonOf({ picture, tenant: 'Not A Tenant' })).toBe('INVALID_ARGUMENT TENANT_INVALID');
    expect(await reasonOf({ picture, versionVector: 'x' })).toBe('INVALID_ARGUMENT VERSION_VECTOR_INVALID');
    const ahead = 'beijing@0000000000001234=8';
    expect(await reasonOf({ picture, versionVector: ahead })).toBe('FAILED_PRECONDITION STALE');
    const late = await failureOf(door.recognize({ picture }, { deadlineMs: systemClock.nowMs() - 1 }));
    expect(late.code).toBe('DEADLINE_EXCEEDED');
    expect(worker.pictures).toEqual([]);
  });

  test('runs once for one key, and the key with other content is refused', async () => {
    const worker = await world.worker('beijing', 'w1', [beijing]);
    const request = { picture: aPicture(1), idempotencyKey: 'k' };
    const answers = await Promise.all([door.recognize(request, soon), door.recognize(request, soon)]);
    expect(new Set(answers.map(({ result }) => result?.taskId)).size).toBe(1);
    expect(worker.pictures).toHaveLength(1);
    const other = await failureOf(door.recognize({ ...request, picture: aPicture(2) }, soon));
    expect([other.code, other.reason]).toEqual(['ALREADY_EXISTS', 'IDEMPOTENCY_KEY_REUSED']);
  });

  test('whose worker is lost is answered by another one', async () => {
    const first = await world.worker('beijing', 'w1', [beijing]);
    first.answer = () => undefined;
    const call = door.recognize({ picture: aPicture(1) }, soon);
    await until(() => first.pictures.length === 1);
    await world.worker('beijing', 'w2', [beijing]);
    await first.kill();
    const { result } = await call;
    expect(result).toMatchObject({ worker: 'w2', attempts: 2 });
  });

  test('whose worker stops beating is answered by another one within 1.5 s', async () => {
    const first = await world.worker('beijing', 'w1', [beijing]);
    first.answer = () => undefined;
    const call = door.recognize({ picture: aPicture(1) }, soon);
    await until(() => first.pictures.length === 1);
    await world.worker('beijing', 'w2', [beijing]);
    first.heartbeats = false;
    first.pulls = false;
    const startMs = systemClock.monotonicMs();
    expect((await call).result?.worker).toBe('w2');
    expect(systemClock.monotonicMs() - startMs).toBeLessThan(1500);
  });

  test('that crashes its worker three times ends with the reason, not with the others', async () => {
    const worker = await world.worker('beijing', 'w1', [beijing]);
    worker.answer = (self, key) => {
      const poison = self.picture(key)?.[7] === 66;
      if (poison) self.fail(key, { code: 'INTERNAL', reason: 'PICTURE_CRASHED_WORKER', retryable: true });
      else self.succeed(key);
    };
    const [failure, good] = await Promise.all([
      failureOf(door.recognize({ picture: aPicture(66) }, soon)),
      door.recognize({ picture: aPicture(1) }, soon),
    ]);
    expect([failure.code, failure.reason, failure.retryable]).toEqual(['INTERNAL', 'PICTURE_CRASHED_WORKER', false]);
    expect(good.result?.outcome.case).toBe('recognition');
    expect(worker.pictures).toHaveLength(4);
  });

  test('that its caller leaves is called off at the worker', async () => {
    const worker = await world.worker('beijing', 'w1', [beijing]);
    worker.answer = () => undefined;
    const leave = new AbortController();
    const call = failureOf(door.recognize({ picture: aPicture(1) }, { signal: leave.signal, ...soon }));
    await until(() => worker.pictures.length === 1);
    leave.abort();
    expect((await call).code).toBe('CANCELLED');
    await until(() => worker.verdicts.some(({ kind }) => kind === 'cancel'));
  });

  test('ends at its deadline when nobody works', async () => {
    const failure = await failureOf(door.recognize({ picture: aPicture(1) }, { timeoutMs: 300 }));
    expect(failure.code).toBe('DEADLINE_EXCEEDED');
  });

  test('beyond the limit is refused with a delay; a stream waits instead and answers all', async () => {
    await beijing.shutdown();
    beijing = await world.start('beijing', { MERIDIAN_CALLS_MAX: '2' });
    door = await world.recognition(beijing);
    const worker = await world.worker('beijing', 'w1', [beijing]);
    worker.answer = () => undefined;
    const calls = [1, 2].map((n) => door.recognize({ picture: aPicture(n) }, soon));
    await until(() => worker.pictures.length === 2);
    const refused = await failureOf(door.recognize({ picture: aPicture(3) }, soon));
    expect([refused.code, refused.reason]).toEqual(['RESOURCE_EXHAUSTED', 'OVERLOADED']);
    expect(refused.retryDelayMs).toBeGreaterThan(0);
    worker.answer = (self, key) => self.succeed(key);
    for (const key of worker.heldKeys) worker.succeed(key);
    await Promise.all(calls);
    async function* requests() {
      for (const n of numbers(20))
        yield { sequence: BigInt(n), request: { picture: n === 7 ? new Uint8Array() : aPicture(n) } };
    }
    const answers = new Map<bigint, string>();
    for await (const { sequence, result } of door.recognizeStream(requests()))
      answers.set(
        sequence,
        result?.outcome.case === 'error' ? result.outcome.value.reason : (result?.outcome.case ?? ''),
      );
    expect(answers.size).toBe(20);
    expect(answers.get(7n)).toBe('PICTURE_EMPTY');
    expect([...answers.values()].filter((answer) => answer === 'recognition')).toHaveLength(19);
  });
});
