import { expect, test } from '@jest/globals';
import { PushMeter, RoundMeter } from './link-traffic.ts';

test('a round counts as the middle of the last five is large, and as the quickest of them is slow', () => {
  const meter = new RoundMeter();
  expect([meter.bytes, meter.roundTripMs]).toEqual([undefined, undefined]);
  meter.add(900, 60);
  expect([meter.bytes, meter.roundTripMs]).toEqual([900, 60]);
  meter.add(1_000, 52);
  meter.add(90_000, 1_900);
  expect([meter.bytes, meter.roundTripMs]).toEqual([1_000, 52]);
  for (const bytes of [1_100, 1_200, 1_300, 1_400]) meter.add(bytes, 70);
  // Of 90,000 and what came since.
  expect([meter.bytes, meter.roundTripMs]).toEqual([1_300, 70]);
});

test('a steady push is measured as it is, and fades when it ends', () => {
  const meter = new PushMeter();
  expect(meter.perSecond(5_000)).toBe(0);
  const nowMs = 610_000;
  for (let atMs = 10_000; atMs <= nowMs; atMs += 100) meter.add(50, atMs);
  expect(meter.perSecond(nowMs)).toBeGreaterThan(499);
  expect(meter.perSecond(nowMs)).toBeLessThan(501);
  expect(meter.perSecond(nowMs + 60_000)).toBeCloseTo(500 / Math.E, 0);
});

test('a burst counts as if it took a minute', () => {
  const meter = new PushMeter();
  meter.add(600_000, 1_000_000);
  expect(meter.perSecond(1_000_000)).toBe(10_000);
});
