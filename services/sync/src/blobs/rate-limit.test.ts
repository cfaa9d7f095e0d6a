import { expect, test } from '@jest/globals';
import { VirtualClock } from '@meridian/runtime';
import { BURST_MS, RateLimit } from './rate-limit.ts';

const PIECE = 256 * 1024;
const RATE = 2 ** 20;

test('no more than the rate goes on, in order, and a pause is not made up for', async () => {
  const clock = new VirtualClock();
  const limit = new RateLimit(RATE, clock);
  const given: number[] = [];
  const take = (count: number) => {
    for (let i = 0; i < count; i++)
      void limit.take(PIECE, new AbortController().signal).then(() => given.push(clock.monotonicMs()));
  };
  take(40);
  await clock.advanceAsync(4_000);
  const most = (ms: number) => Math.floor((RATE * (ms + BURST_MS)) / 1_000 / PIECE) + 1;
  expect(given.length).toBeLessThanOrEqual(most(4_000));
  expect(given.length).toBeGreaterThanOrEqual(16);
  await clock.advanceAsync(60_000);
  expect(given).toHaveLength(40);
  take(40);
  await clock.advanceAsync(1_000);
  expect(given.length - 40).toBeLessThanOrEqual(most(1_000));
  expect(given).toEqual([...given].sort((a, b) => a - b));
});

test('who gives up takes nothing from the others', async () => {
  const clock = new VirtualClock();
  const limit = new RateLimit(RATE, clock);
  const first = limit.take(PIECE, new AbortController().signal);
  const gaveUp = new AbortController();
  const aborted = limit.take(100 * RATE, gaveUp.signal).catch(() => 'aborted');
  let at = -1;
  const last = limit.take(PIECE, new AbortController().signal).then(() => {
    at = clock.monotonicMs();
  });
  await first;
  gaveUp.abort();
  expect(await aborted).toBe('aborted');
  await clock.advanceAsync(1_000);
  await last;
  expect(at).toBeLessThanOrEqual(250);
  expect(clock.pendingTimers).toBe(0);
});
