import { expect, test } from '@jest/globals';
import { CuttingSpeed } from './cutting-speed.ts';

test('follows what pictures take, by their pixels, from the start value on', () => {
  const speed = new CuttingSpeed(20);
  expect(speed.expectedMs(12_000_000)).toBe(240);
  for (let n = 0; n < 60; n++) speed.took(n % 2 === 0 ? 2_000_000 : 8_000_000, n % 2 === 0 ? 100 : 400, false);
  expect(speed.msPerMegapixel).toBeCloseTo(50, 0);
  // One that took a minute, and thumbnails, change little.
  speed.took(1_000_000, 60_000, false);
  speed.took(1_000, 30, false);
  expect(speed.msPerMegapixel).toBeLessThan(90);
});

test('the first picture of a process says how long that took to start', () => {
  const speed = new CuttingSpeed(20);
  for (let n = 0; n < 60; n++) speed.took(1_000_000, 820, true);
  expect(speed.startMs).toBeCloseTo(800, -1);
  expect(speed.msPerMegapixel).toBe(20);
});
