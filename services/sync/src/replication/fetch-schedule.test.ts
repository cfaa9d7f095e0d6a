import { expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import { seededRandom } from '@meridian/runtime';
import { FetchSchedule } from './fetch-schedule.ts';
import type { FetchAnswer, FetchRequest } from './protocol.ts';

const actor = actorId('shanghai', 1n);
const seen = (counter: number) => VersionVector.of([[actor, counter]]);
const options = { region: 'beijing', peer: 'shanghai', intervalMs: 10_000, bytesMax: 1, generation: 0 };
const page = (vector: VersionVector, nextKey: string, collected = VersionVector.EMPTY): FetchAnswer => ({
  ...{ generation: 0, entries: [], vector, nextKey, isWholeRange: true, isRefused: false, isRecovering: false },
  ...{ collected, heardActors: [], sentAtMs: 1 },
});

/** Takes the pages of a round one by one. @returns what becomes of it, and the vector that may be joined at its end */
function round(...pages: readonly FetchAnswer[]) {
  const schedule = new FetchSchedule({ ...options, random: seededRandom(1) });
  let request = schedule.start(0, VersionVector.EMPTY);
  for (const answer of pages) {
    expect(schedule.accepts(request as FetchRequest, answer)).toBe(true);
    const { completeVector } = schedule;
    const applied = schedule.applied(answer.nextKey, 1);
    if (answer.nextKey === '') return { applied, completeVector, completedAtMs: schedule.completedAtMs };
    request = applied as FetchRequest;
  }
  throw new Error('the round has no last page');
}

test('a complete round yields the vector of its first page', () => {
  const { applied, completeVector, completedAtMs } = round(page(seen(3), 'a'), page(seen(5), ''));
  expect([applied, completeVector?.toString(), completedAtMs]).toEqual([seen(3), seen(3).toString(), 1]);
});

test('pages of two processes that answer in turn are all taken, and their round is no answer', () => {
  const { applied, completeVector, completedAtMs } = round(page(seen(3), 'a'), page(seen(2), 'b'), page(seen(3), ''));
  expect([applied, completeVector, completedAtMs]).toEqual(['failed', undefined, 0]);
});

test('a deletion that the peer has forgotten since the first page is not taken for seen', () => {
  const forgotten = round(page(seen(3), 'a', seen(2)), page(seen(4), '', seen(2)));
  expect(forgotten.completeVector?.toString()).toBe(seen(3).toString());
  const since = round(page(seen(3), 'a', seen(2)), page(seen(4), '', seen(4)));
  expect(since.completeVector).toBeUndefined();
});

test('of keys whose whole ranges are in, old versions may not come in from elsewhere before the round ends', () => {
  const schedule = new FetchSchedule({ ...options, random: seededRandom(1) });
  const request = schedule.start(0, VersionVector.EMPTY);
  if (request === undefined) throw new Error('no round begins');
  expect(schedule.accepts(request, page(seen(3), 'k'))).toBe(true);
  expect(schedule.seenOf('a')).toBeUndefined();
  const next = schedule.applied('k', 1) as FetchRequest;
  expect([schedule.seenOf('a'), schedule.seenOf('k'), schedule.seenOf('l')].map((v) => v?.toString())).toEqual([
    seen(3).toString(),
    seen(3).toString(),
    undefined,
  ]);
  schedule.accepts(next, { ...page(seen(3), 'm'), isWholeRange: false });
  schedule.applied('m', 1);
  expect(schedule.seenOf('a')).toBeUndefined();
});

test('a round follows after the interval that its link has, and what hastens it is not held up', () => {
  const schedule = new FetchSchedule({ ...options, random: seededRandom(1) });
  /** A whole round at that time. */
  const complete = (nowMs: number) => {
    const request = schedule.start(nowMs, VersionVector.EMPTY);
    if (request === undefined) throw new Error(`nothing is due at ${nowMs}`);
    schedule.accepts(request, page(seen(1), ''));
    schedule.applied('', nowMs);
  };
  const isDue = (nowMs: number) => {
    const request = schedule.start(nowMs, VersionVector.EMPTY);
    if (request !== undefined) schedule.refused(nowMs);
    return request !== undefined;
  };
  complete(0);
  expect(isDue(9_999)).toBe(false);
  schedule.pace(40_000);
  complete(10_000);
  expect(isDue(49_999)).toBe(false);
  // Who does not hear this region is asked as often.
  expect([isDue(50_000), isDue(89_999), isDue(90_000)]).toEqual([true, false, true]);
  schedule.hasten(91_000);
  complete(91_000);
  schedule.pace(10_000);
  expect(isDue(130_999)).toBe(false);
  complete(131_000);
  expect(isDue(141_000)).toBe(true);
});
