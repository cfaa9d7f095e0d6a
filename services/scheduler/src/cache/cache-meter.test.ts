import { expect, test } from '@jest/globals';
import { CacheMeter } from './cache-meter.ts';

test('rates of hits, of answers that were worked out, and of those that made room; they fade', () => {
  const meter = new CacheMeter();
  meter.tick(0);
  for (let second = 1; second <= 60; second++) {
    for (const outcome of ['hit', 'shared', 'miss', 'bypassed'] as const) meter.used(outcome);
    meter.madeRoom();
    meter.tick(second * 1_000);
  }
  const { hitsPerSecond, missesPerSecond, evictionsPerSecond } = meter.rates;
  expect(hitsPerSecond).toBeCloseTo(2, 1);
  expect(missesPerSecond).toBeCloseTo(1, 1);
  expect(evictionsPerSecond).toBeCloseTo(1, 1);
  for (let second = 61; second <= 120; second++) meter.tick(second * 1_000);
  expect(meter.rates.hitsPerSecond).toBeLessThan(0.5);
});
