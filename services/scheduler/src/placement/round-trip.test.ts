import { expect, test } from '@jest/globals';
import { RoundTrip } from './round-trip.ts';

const after = (...samples: number[]) => {
  const roundTrip = new RoundTrip();
  for (const ms of samples) roundTrip.add(ms);
  return roundTrip.estimateMs ?? Number.NaN;
};

test('follows the least of the last samples', () => {
  const ms = after(52, 300, 51, 90, 400, 51);
  expect(ms).toBeGreaterThan(50);
  expect(ms).toBeLessThan(53);
});

/** A ping every 200 ms that comes back after 250: the sixth slow answer is here 1.25 … 1.45 s after the step. */
test('a link that gets 200 ms slower is believed with the sixth sample that says so, and not before', () => {
  expect(after(50, 51, 50, 250, 251, 250, 252, 250)).toBeLessThan(52);
  expect(after(50, 51, 50, 250, 251, 250, 252, 250, 251)).toBe(250);
});

test('a link that gets faster is believed at once', () => {
  expect(after(250, 251, 250, 251, 250, 50)).toBe(50);
});
