import { beforeEach, describe, expect, test } from '@jest/globals';
import { VersionVector } from '@meridian/causality';
import { Failure } from '@meridian/failure';
import { VirtualClock } from '@meridian/runtime';
import { ROOT_CONTEXT } from '@opentelemetry/api';
import { ResultCache } from '../cache/result-cache.ts';
import { aWork } from '../tasks/task.builders.ts';
import { newTask } from '../tasks/task.ts';
import { CachedAnswers, type CachedCall } from './cached-answers.ts';

/** Goal: what the cache does with calls is counted and traced, and what is over its time is dropped by itself. */
const TTL_MS = 60_000;
let clock: VirtualClock;
let cache: ResultCache;
let answers: CachedAnswers;
let counted: string[];
let traced: string[];
let calls = 0;
let forbidden: Set<string>;

beforeEach(() => {
  clock = new VirtualClock(1_000_000);
  cache = new ResultCache({ bytesMax: 100_000, entriesMax: 10, ttlMs: TTL_MS }, () => undefined);
  [counted, traced] = [[], []];
  forbidden = new Set();
  answers = new CachedAnswers({
    ...{ cache, clock, mayKeep: (tenant) => !forbidden.has(tenant) },
    metrics: { cacheLookups: { add: (_, labels) => void counted.push(String(labels?.['meridian.outcome'])) } },
    tracer: { cachedTask: (task, _, from) => void traced.push(`${task.taskId} from ${from}`) },
  });
});

function aCall(cacheUse: CachedCall['cacheUse'] = 'full'): CachedCall {
  const taskId = `t${++calls}`;
  const picture = { taskId, index: 0, pictureName: '', pictureDigest: new Uint8Array(32), pictureBytes: 9 };
  const work = aWork({ key: taskId, jobId: '', acceptedMs: clock.nowMs(), deadlineMs: clock.nowMs() + 1000 });
  const common = { deadlineMs: work.deadlineMs, signal: undefined, traceContext: ROOT_CONTEXT };
  return { ...common, task: newTask(work, picture), parameters: {}, cacheUse, seen: VersionVector.EMPTY };
}

const good = () => Promise.resolve({ worker: 'w1' });

describe('calls', () => {
  test('are counted by what came of them, and traced when they got the answer of another task', async () => {
    const first = aCall();
    await answers.answer(first, good);
    const again = aCall();
    expect(await answers.answer(again, () => Promise.reject(new Error('it was run')))).toMatchObject({ worker: 'w1' });
    await answers.answer(aCall('none'), good);
    await answers.answer(aCall('store'), good);
    expect(counted).toEqual(['miss', 'hit', 'bypassed', 'bypassed']);
    expect(traced).toEqual([`${again.task.taskId} from ${first.task.taskId}`]);
  });

  test('that wait for a run of another one are counted as such; a failed run counts nowhere and leaves nothing', async () => {
    const failure = new Failure('INTERNAL', 'no', { reason: 'TEST' });
    await expect(answers.answer(aCall(), () => Promise.reject(failure))).rejects.toBe(failure);
    expect([counted, cache.size]).toEqual([[], 0]);
    const landing = Promise.withResolvers<{ worker: string }>();
    const both = [aCall(), aCall()].map((call) => answers.answer(call, () => landing.promise));
    landing.resolve({ worker: 'w2' });
    expect(await Promise.all(both)).toMatchObject([{ worker: 'w2' }, { worker: 'w2', fromCache: {} }]);
    expect(counted.sort()).toEqual(['miss', 'shared']);
  });

  test('get an answer of the same parameters only', async () => {
    const tiled = { tilesMax: 9, overlapPercent: 20, lossy: false };
    await answers.answer({ ...aCall(), parameters: tiled }, good);
    await answers.answer(aCall(), good);
    await answers.answer({ ...aCall(), parameters: { ...tiled, tilesMax: 4 } }, good);
    await answers.answer({ ...aCall(), parameters: { ...tiled } }, good);
    expect(counted).toEqual(['miss', 'miss', 'miss', 'hit']);
  });

  test('that wait go at their own deadline', async () => {
    const landing = Promise.withResolvers<{ worker: string }>();
    const first = answers.answer({ ...aCall(), deadlineMs: clock.nowMs() + 5000 }, () => landing.promise);
    const second = answers.answer(aCall(), good);
    clock.advance(1001);
    await expect(second).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    landing.resolve({ worker: 'w1' });
    expect(await first).toMatchObject({ worker: 'w1' });
  });
});

test('what is over its time is not held, though nobody asks', async () => {
  await answers.start();
  await answers.answer(aCall(), good);
  clock.advance(TTL_MS - 1);
  expect(cache.size).toBe(1);
  clock.advance(10_000);
  expect(cache.size).toBe(0);
  await answers.stop();
});

test('what the tenant’s rule does not allow here any more is dropped, though nobody asks, and nothing new is kept', async () => {
  await answers.start();
  await answers.answer(aCall(), good);
  expect(cache.size).toBe(1);
  forbidden.add('public');
  clock.advance(10_000);
  expect(cache.size).toBe(0);
  await answers.answer(aCall(), good);
  expect(cache.size).toBe(0);
  await answers.stop();
});
