import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { submitJob, watchJob } from '@meridian/cli';
import { subject } from '@meridian/contracts';
import { JobState, PriorityClass, type RecognitionService, type TaskResult } from '@meridian/contracts/recognition';
import { RegionHealth } from '@meridian/contracts/region';
import { Failure } from '@meridian/failure';
import type { RpcClient } from '@meridian/rpc';
import { systemClock, systemRandom } from '@meridian/runtime';
import { aPicture, type RunningScheduler, SchedulerWorld, sha256, until } from '../support/scheduler-world.ts';

/**
 * Goal: what the scheduler promises, through its real doors. Method: brokers in memory, real gRPC with mutual TLS,
 * workers that follow a script.
 */
type Door = RpcClient<typeof RecognitionService>;
let world: SchedulerWorld;
let beijing: RunningScheduler;
let door: Door;

beforeEach(async () => {
  world = await SchedulerWorld.open();
  beijing = await world.start('beijing');
  door = await world.recognition(beijing);
});
afterEach(() => world.close());

const soon = { timeoutMs: 10_000 };

async function failureOf(call: Promise<unknown>): Promise<Failure> {
  return call.then(
    () => Promise.reject(new Error('it succeeded')),
    (error: unknown) => Failure.from(error),
  );
}

function portsOf(client: Door) {
  const door = {
    submit: (parts: Parameters<Door['submitJob']>[0]) => client.submitJob(parts),
    watch: (jobId: string, cursor: bigint) => client.watchJob({ jobId, cursor }),
  };
  return { door, clock: systemClock, random: systemRandom };
}

function picturesOf(numbers: readonly number[]) {
  return numbers.map((number) => {
    const bytes = aPicture(number);
    const read = async function* () {
      yield bytes;
    };
    return { name: `${number}.jpg`, digest: sha256(bytes), sizeBytes: bytes.length, read };
  });
}

const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);

function submit(key: string, count: number, client = door, header = {}): Promise<string> {
  return submitJob({
    ...portsOf(client),
    header: { idempotencyKey: key, ...header },
    pictures: picturesOf(numbers(count)),
  });
}

async function resultsOf(jobId: string, client = door, cursor = 0n): Promise<TaskResult[]> {
  const results: TaskResult[] = [];
  for await (const update of watchJob({ ...portsOf(client), jobId, cursor }))
    if (update.kind === 'result') results.push(update.result);
  return results;
}

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
    const jobId = await submit('k', 1, door, { tenant: 'known' });
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
    await submit('k', 1, door, { tenant: 'known' });
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

describe('a job', () => {
  test('is accepted when all pictures are stored, and every result is seen once, in order', async () => {
    const jobId = await submit('k', 40);
    expect(jobId).toMatch(/^beijing-[a-z2-7]{26}$/);
    const watching = resultsOf(jobId);
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
    const jobId = await submit('k', 30);
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
    const jobId = await submit('k', 25);
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
    const rest = await resultsOf(jobId, door, before.at(-1));
    expect(rest).toHaveLength(15);
    expect((await resultsOf(jobId)).map(({ index }) => index).sort((a, b) => a - b)).toEqual(numbers(25));
    expect((await door.getJob({ jobId })).job).toMatchObject({ state: JobState.FINISHED, succeeded: 25 });
    const fences = new Set(worker.pictures.map((key) => Math.floor(Number(key.split('#')[1]) / 2 ** 20)));
    expect(fences).toEqual(new Set([1, 2]));
  });

  test('drops a second result of the same task', async () => {
    const slow = await world.worker('beijing', 'w1', [beijing]);
    slow.answer = () => undefined;
    const jobId = await submit('k', 1);
    await until(() => slow.pictures.length === 1);
    const [key = ''] = slow.heldKeys;
    slow.heartbeats = false;
    slow.pulls = false;
    await world.worker('beijing', 'w2', [beijing]);
    const [result] = await resultsOf(jobId);
    expect(result).toMatchObject({ worker: 'w2', attempts: 2 });
    slow.heartbeats = true;
    slow.attach('beijing', `127.0.0.1:${beijing.port}`);
    await systemClock.sleep(0);
    slow.succeed(key);
    await until(() => slow.verdicts.some((verdict) => verdict.kind === 'ack' && verdict.key === key));
    expect((await door.getJob({ jobId })).job).toMatchObject({ succeeded: 1 });
    expect(await resultsOf(jobId)).toHaveLength(1);
  });

  test('is cancelled: results stay, open tasks end, late ones are dropped, also after a restart', async () => {
    const worker = await world.worker('beijing', 'w1', [beijing]);
    worker.answer = (self, key) => {
      if (self.pictures.length <= 3) self.succeed(key);
    };
    const jobId = await submit('k', 20);
    await until(async () => ((await door.getJob({ jobId })).job?.succeeded ?? 0) === 3);
    await until(() => worker.heldKeys.length === 4);
    const { job } = await door.cancelJob({ jobId });
    expect(job).toMatchObject({ state: JobState.CANCELLED, succeeded: 3 });
    await until(() => worker.verdicts.filter(({ kind }) => kind === 'cancel').length === 4);
    for (const key of worker.heldKeys) worker.succeed(key);
    expect(await resultsOf(jobId)).toHaveLength(3);
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
    const jobId = await submit('k', 5);
    const results = await resultsOf(jobId);
    const poison = results.find(({ index }) => index === 2);
    expect(poison).toMatchObject({ attempts: 3, outcome: { case: 'error', value: { code: 'INTERNAL' } } });
    const bus = world.bus('beijing', 'scheduler');
    const at = subject('job', { origin: 'beijing', job: 'dead-letter', task: `${jobId}/2` });
    const letter = await bus.getLast('JOBS', at, 'meridian.job.dead-letter.v1');
    expect(letter?.data.attempts.map(({ end }) => end)).toEqual(Array(3).fill('retryable-failure'));
    await bus.close();
  });

  test('that passes its deadline ends every open task with a visible result', async () => {
    const jobId = await submit('k', 5, door, { deadlineUnixMs: BigInt(Math.round(systemClock.nowMs() + 300)) });
    const results = await resultsOf(jobId);
    expect(results.map(({ outcome }) => (outcome.case === 'error' ? outcome.value.code : ''))).toEqual(
      Array(5).fill('DEADLINE_EXCEEDED'),
    );
  });

  test('of 20 high tasks behind 500 low ones finishes among the next 60', async () => {
    await submit('low', 500, door, { priority: PriorityClass.LOW });
    const worker = await world.worker('beijing', 'w1', [beijing]);
    await until(() => worker.pictures.length > 30);
    const high = await submit('high', 20, door, { priority: PriorityClass.HIGH });
    const submittedAt = worker.pictures.length;
    await resultsOf(high);
    const order = worker.pictures.slice(submittedAt);
    const last = order.findLastIndex((key) => key.startsWith(high));
    expect(order.filter((key) => key.startsWith(high))).toHaveLength(20);
    expect(last).toBeLessThan(60);
  });
});

describe('submitting', () => {
  const header = (count: number, more = {}) => ({
    idempotencyKey: 'k',
    pictures: picturesOf(numbers(count)).map(({ name, digest, sizeBytes }) => ({ name, digest, sizeBytes })),
    ...more,
  });

  async function* parts(head: object, bodies: readonly number[]) {
    yield { part: { case: 'header' as const, value: head } };
    for (const number of bodies) {
      yield { part: { case: 'picture' as const, value: { digest: sha256(aPicture(number)) } } };
      for (let at = 0; at < 2000; at += 700)
        yield { part: { case: 'chunk' as const, value: aPicture(number).subarray(at, at + 700) } };
    }
  }

  test('tells what is held, goes on from there, and is one job for one key', async () => {
    const first = await door.submitJob(parts(header(5), [0, 1]));
    expect(first.accepted).toBe(false);
    expect(first.heldDigests.map((digest) => Buffer.from(digest).toString('hex')).sort()).toEqual(
      [0, 1].map((number) => sha256(aPicture(number)).toString('hex')).sort(),
    );
    const second = await door.submitJob(parts(header(5), [2, 3, 4]));
    expect(second).toMatchObject({ accepted: true, jobId: first.jobId });
    expect(await door.submitJob(parts(header(5), []))).toMatchObject({ accepted: true, jobId: first.jobId });
    const other = await failureOf(door.submitJob(parts(header(4), [])));
    expect([other.code, other.reason]).toEqual(['ALREADY_EXISTS', 'IDEMPOTENCY_KEY_REUSED']);
    await beijing.kill();
    beijing = await world.start('beijing');
    door = await world.recognition(beijing);
    expect(await door.submitJob(parts(header(5), []))).toMatchObject({ accepted: true, jobId: first.jobId });
  });

  test('two at once with one key is one job', async () => {
    const answers = await Promise.all([0, 1].map(() => door.submitJob(parts(header(3), [0, 1, 2]))));
    expect(new Set(answers.map(({ jobId, accepted }) => `${jobId} ${accepted}`)).size).toBe(1);
    expect((await door.listJobs({})).jobs).toHaveLength(1);
  });

  test('names every field that is wrong, and refuses other bytes than announced', async () => {
    const bad = {
      ...header(1),
      idempotencyKey: '',
      tenant: 'X Y',
      pictures: [{ digest: new Uint8Array(3), sizeBytes: 0 }],
    };
    const { message, reason } = await failureOf(door.submitJob(parts(bad, [])));
    expect(reason).toBe('HEADER_INVALID');
    for (const field of ['tenant', 'idempotency_key', 'pictures[0].digest', 'pictures[0].size_bytes'])
      expect(message).toContain(field);
    const reasonOf = async (head: object, bodies: readonly number[]) =>
      (await failureOf(door.submitJob(parts(head, bodies)))).reason;
    expect(await reasonOf(header(1), [7])).toBe('PICTURE_NOT_LISTED');
    expect(await reasonOf(header(1, { model: 'nope' }), [])).toBe('MODEL_UNKNOWN');
    expect(await reasonOf(header(1, { residency: { zones: ['moon'] } }), [])).toBe('REGION_UNKNOWN');
    expect(await reasonOf(header(1, { deadlineUnixMs: 1n }), [])).toBe('DEADLINE_EXCEEDED');
    const [picture] = header(1).pictures;
    const short = { ...header(1), pictures: [{ ...picture, sizeBytes: 1999 }] };
    expect(await reasonOf(short, [0])).toBe('PICTURE_SIZE');
  });

  test('at the disk budget is refused before the body; the accepted job finishes', async () => {
    await beijing.shutdown();
    beijing = await world.start('beijing', { MERIDIAN_SPOOL_BUDGET_BYTES: '64KiB' });
    door = await world.recognition(beijing);
    const jobId = await submit('a', 10);
    const refused = await failureOf(door.submitJob(parts({ ...header(17), idempotencyKey: 'b' }, [])));
    expect([refused.code, refused.reason]).toEqual(['RESOURCE_EXHAUSTED', 'DISK_BUDGET']);
    expect(refused.retryDelayMs).toBeGreaterThan(0);
    await world.worker('beijing', 'w1', [beijing]);
    expect(await resultsOf(jobId)).toHaveLength(10);
  });
});

describe('two regions', () => {
  test('share the work of a busy one, see each other, and re-place what a silent one held', async () => {
    const shanghai = await world.start('shanghai');
    const near = await world.worker('beijing', 'w1', [beijing]);
    const far = await world.worker('shanghai', 'w2', [beijing, shanghai]);
    const regions = await world.regions(beijing);
    await until(async () => {
      const { regions: views } = await regions.listRegions({});
      return views.every(({ health, workers }) => health === RegionHealth.UP && workers > 0);
    });
    near.answer = () => undefined;
    far.answer = () => undefined;
    const jobId = await submit('k', 60);
    await until(() => near.held > 0 && far.held > 0);
    far.pulls = false;
    world.broker.setReachable('beijing', 'shanghai', false);
    far.cut('beijing');
    near.answer = (self, key) => self.succeed(key);
    for (const key of near.heldKeys) near.succeed(key);
    const results = await resultsOf(jobId);
    expect(results).toHaveLength(60);
    expect(results.some(({ attempts }) => attempts > 1)).toBe(true);
    await until(async () => {
      const { regions: views } = await regions.listRegions({});
      return views.find(({ name }) => name === 'shanghai')?.health === RegionHealth.DOWN;
    });
  });

  test('respect the residency rule', async () => {
    const shanghai = await world.start('shanghai');
    await world.worker('beijing', 'w1', [beijing]);
    await world.worker('shanghai', 'w2', [beijing, shanghai]);
    const { result } = await door.recognize({ picture: aPicture(1), residency: { zones: ['zone-shanghai'] } }, soon);
    expect(result).toMatchObject({ entryRegion: 'beijing', region: 'shanghai', worker: 'w2' });
  });

  test('show the trace of a task, every attempt with its region and end', async () => {
    const shanghai = await world.start('shanghai');
    const first = await world.worker('beijing', 'w1', [beijing]);
    first.answer = () => undefined;
    await world.worker('shanghai', 'w2', [beijing, shanghai]);
    const jobId = await submit('k', 1);
    await until(() => first.held > 0);
    await first.kill();
    const [result] = await resultsOf(jobId);
    const regions = await world.regions(shanghai);
    const taskId = result?.taskId ?? '';
    const { spans, unreachableRegions } = await regions.getTrace({ key: { case: 'taskId', value: taskId } });
    expect(unreachableRegions).toEqual([]);
    const attempts = spans.filter(({ name }) => name === 'attempt').map(({ attributes }) => attributes);
    expect(attempts.map((one) => [one['meridian.region'], one['meridian.reason']])).toEqual([
      ['beijing', 'worker-lost'],
      ['shanghai', 'result'],
    ]);
    expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1);
    expect(spans.some(({ name }) => name === 'task')).toBe(true);
  });
});

describe('public events', () => {
  test('tell of accepted, placed and finished, in order, causally linked, with ids that stay the same', async () => {
    await world.worker('beijing', 'w1', [beijing]);
    const jobId = await submit('k', 3);
    await resultsOf(jobId);
    await beijing.shutdown();
    const bus = world.bus('beijing', 'consumer');
    const consumer = await bus.consumer('EVENTS', {
      name: 'test',
      filter: subject('event', { origin: 'beijing', tenant: '*', entity: '*', verb: '*' }),
      type: ['meridian.event.job-changed.v1', 'meridian.event.tasks-placed.v1'],
      ackWaitMs: 1000,
      maxDeliver: -1,
      maxAckPending: 100,
    });
    const events = [];
    for await (const delivery of consumer.fetch(100, 0)) events.push(delivery);
    const verbs = events.map((event) => event.subject.split('.').at(-1));
    expect(verbs[0]).toBe('accepted');
    expect(verbs.at(-1)).toBe('finished');
    expect(verbs.slice(1, -1).every((verb) => verb === 'placed')).toBe(true);
    expect(verbs.length).toBeGreaterThan(2);
    for (const [i, { envelope }] of events.entries()) {
      expect(envelope.causes).toHaveLength(1);
      if (verbs[i] === 'placed') expect(envelope.causes[0]).toBe(events[0]?.envelope.id);
    }
    await bus.close();
  });
});
