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

/** A ping every 200 ms that comes back after 250: the fifth slow answer is here 1.05 s after the first slow ping. */
test('a link that gets 200 ms slower is believed with the fifth sample that says so, and not before', () => {
  expect(after(50, 51, 50, 250, 251, 250, 252)).toBeLessThan(52);
  expect(after(50, 51, 50, 250, 251, 250, 252, 251)).toBe(250);
});

test('a link that gets faster is believed at once', () => {
  expect(after(250, 251, 250, 251, 250, 50)).toBe(50);
});
