import { describe, expect, test } from '@jest/globals';
import { seededRandom } from '@meridian/runtime';
import { bound } from './bound.ts';
import { EventHeap } from './event-heap.ts';
import { leastOutstanding, nearest, priced } from './policy.ts';
import { roundTripMs, SIX, scenario } from './scenario.ts';
import { simulate } from './simulate.ts';

test('events come by time, those of one time in the order in which they were added', () => {
  const random = seededRandom(3);
  const heap = new EventHeap<{ timeMs: number; order: number }>();
  for (let order = 0; order < 5_000; order++) {
    const timeMs = random.int(200);
    heap.add(timeMs, { timeMs, order });
    if (random.int(4) === 0) heap.take();
  }
  let last = { timeMs: -1, order: -1 };
  for (let next = heap.take(); next !== undefined; next = heap.take()) {
    expect(next.timeMs > last.timeMs || (next.timeMs === last.timeMs && next.order > last.order)).toBe(true);
    last = next;
  }
});

test('round trips are those of fibre along great circles', () => {
  const [west, east] = [SIX[0], SIX[1]];
  if (west === undefined || east === undefined) throw new Error('six regions');
  expect(roundTripMs(west, west)).toBe(2);
  expect(roundTripMs(west, east)).toBeGreaterThan(45);
  expect(roundTripMs(west, east)).toBeLessThan(60);
});

describe('a simulated world', () => {
  const calm = scenario('calm', SIX, 20_000);

  test('is the same for the same seed, and answers all that began', () => {
    const [a, b, c] = [simulate(calm, priced, 1), simulate(calm, priced, 1), simulate(calm, priced, 2)];
    expect(a.meanMs).toBe(b.meanMs);
    expect(a.meanMs).not.toBe(c.meanMs);
    expect(a.ran.reduce((sum, each) => sum + each, 0)).toBe(a.latenciesMs.length);
  });

  test('prices are near the bound and better than the usual policies', () => {
    const least = bound(calm, 1).meanMs;
    const [ours, near, spread] = [priced, nearest, leastOutstanding].map((policy) => simulate(calm, policy, 1).meanMs);
    expect((ours ?? 0) / least).toBeGreaterThan(1);
    expect((ours ?? 0) / least).toBeLessThan(1.2);
    expect(ours).toBeLessThan(near ?? 0);
    expect(ours).toBeLessThan(spread ?? 0);
  });
});
