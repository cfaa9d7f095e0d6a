import { describe, expect, test } from '@jest/globals';
import { seededRandom } from '@meridian/runtime';
import fc from 'fast-check';
import { FETCHES_MAX, type FetchOutcome, FetchPlan, type PlannedFetch, type WantedBlob } from './fetch-plan.ts';

const wanted = (digest: string, ...sources: string[]): WantedBlob => ({ digest, bytes: 10, sources });

function plan(...blobs: WantedBlob[]): FetchPlan {
  const made = new FetchPlan(seededRandom(1));
  made.want(blobs);
  return made;
}

const begin = (from: FetchPlan, nowMs = 0) => from.begin(nowMs) as PlannedFetch;

describe('sources', () => {
  test('are asked in their order, each at once after the one before; then all again after a while', () => {
    const one = plan(wanted('a', 'x', 'y', 'z'));
    for (const source of ['x', 'y', 'z']) {
      expect(one.obstacle('a')).toBeUndefined();
      const fetch = begin(one);
      expect(fetch.source).toBe(source);
      one.end(fetch, 'refused', false, 0);
    }
    expect(one.begin(0)).toBeUndefined();
    expect(one.obstacle('a')).toBe('no-source');
    const nextAtMs = one.nextAtMs() ?? 0;
    expect(nextAtMs).toBeGreaterThan(0);
    expect(nextAtMs).toBeLessThanOrEqual(500);
    expect(begin(one, nextAtMs).source).toBe('x');
  });

  test('wait longer after each round without progress, up to a bound; progress makes it short again', () => {
    const one = plan(wanted('a', 'x'));
    let nowMs = 0;
    const round = (progressed: boolean) => {
      one.end(begin(one, nowMs), 'silent', progressed, nowMs);
      const waitMs = (one.nextAtMs() ?? 0) - nowMs;
      nowMs += waitMs;
      return waitMs;
    };
    const waits = Array.from({ length: 20 }, () => round(false));
    expect(Math.max(...waits)).toBeLessThanOrEqual(10_000);
    expect(waits.at(-1)).toBeGreaterThanOrEqual(5_000);
    expect(round(true)).toBeLessThanOrEqual(500);
  });

  test('that were silent come after the others, for all blobs, for a while', () => {
    const one = plan(wanted('a', 'x', 'y'), wanted('b', 'x', 'y'));
    const first = begin(one);
    one.end(first, 'silent', false, 1_000);
    expect(begin(one, 1_000)).toMatchObject({ digest: 'b', source: 'y' });
    const later = plan(wanted('a', 'x', 'y'), wanted('b', 'x', 'y'));
    later.end(begin(later), 'silent', false, 0);
    later.end(begin(later), 'refused', false, 0);
    expect(begin(later, 20_000).source).toBe('x');
  });

  test('that change give a new chance at once, but no room is no room', () => {
    const one = plan(wanted('a', 'x'));
    one.end(begin(one), 'refused', false, 0);
    expect(one.begin(0)).toBeUndefined();
    one.want([wanted('a', 'y', 'x')]);
    const fetch = begin(one);
    expect(fetch.source).toBe('y');
    one.end(fetch, 'no-room', false, 0);
    one.want([wanted('a', 'x', 'y')]);
    expect(one.begin(0)).toBeUndefined();
    expect(one.obstacle('a')).toBe('no-room');
    expect(one.nextAtMs()).toBeGreaterThanOrEqual(5_000);
  });

  test('none at all: nothing is begun', () => {
    const one = plan(wanted('a'));
    expect([one.begin(0), one.nextAtMs()]).toEqual([undefined, undefined]);
  });
});

test('what is not wanted any more is not begun; what is under way may end', () => {
  const one = plan(wanted('a', 'x', 'y'), wanted('b', 'x'));
  const fetch = begin(one);
  one.want([]);
  expect(one.begin(0)).toBeUndefined();
  one.end(fetch, 'silent', true, 0);
  expect([one.begin(1e9), one.nextAtMs()]).toEqual([undefined, undefined]);
  one.want([]);
  expect(one.size).toBe(0);
});

test('at most a few at once, never one twice, and every blob gets here when some source has it', () => {
  const outcomes = fc.constantFrom<FetchOutcome>('refused', 'silent', 'no-room');
  const blobs = fc.integer({ min: 1, max: 6 });
  fc.assert(
    fc.property(blobs, fc.infiniteStream(outcomes), fc.infiniteStream(fc.nat()), (count, fate, picks) => {
      const digests = Array.from({ length: count }, (_, i) => `d${i}`);
      const one = plan(...digests.map((digest) => wanted(digest, 'x', 'y', 'z')));
      const running: PlannedFetch[] = [];
      let [nowMs, failures] = [0, 0];
      while (one.size > 0) {
        for (let next = one.begin(nowMs); next !== undefined; next = one.begin(nowMs)) {
          expect(running.map(({ digest }) => digest)).not.toContain(next.digest);
          running.push(next);
        }
        expect(running.length).toBeLessThanOrEqual(FETCHES_MAX);
        if (running.length === 0) {
          nowMs = one.nextAtMs() as number;
          continue;
        }
        const [ended] = running.splice((picks.next().value ?? 0) % running.length, 1) as [PlannedFetch];
        // Only z has them, once 20 attempts have failed.
        const has = ended.source === 'z' && failures >= 20;
        if (!has) failures++;
        one.end(ended, has ? 'here' : (fate.next().value as FetchOutcome), false, nowMs);
        expect(failures).toBeLessThan(1_000);
      }
    }),
    { numRuns: 100 },
  );
});
