import { expect, test } from '@jest/globals';
import { seededRandom } from '@meridian/runtime';
import fc from 'fast-check';
import { meanWaiting, waitingPieces } from './waiting.ts';

const use = fc.double({ min: 0.01, max: 0.99, noNaN: true });
const kind = { variation: 0.64, waitPart: 0.5 };
const workers = fc.integer({ min: 1, max: 64 });

test('one exponential worker: the formula of Pollaczek and Khinchine', () => {
  fc.assert(
    fc.property(use, fc.double({ min: 0, max: 4, noNaN: true }), (load, variation) => {
      const expected = ((load * load) / (1 - load)) * ((1 + variation) / 2);
      expect(meanWaiting(load, 1, { variation, waitPart: 1 })).toBeCloseTo(expected, 9);
    }),
  );
});

test('is what a simulated queue shows', () => {
  const random = seededRandom(7);
  const exponential = (mean: number) => -mean * Math.log(1 - random.next());
  const free = [0, 0, 0];
  const tasks = 400_000;
  let [nowS, waitedS] = [0, 0];
  for (let i = 0; i < tasks; i++) {
    nowS += exponential(1 / 2.4);
    const worker = free.indexOf(Math.min(...free));
    const startS = Math.max(nowS, free[worker] ?? 0);
    waitedS += startS - nowS;
    free[worker] = startS + exponential(1);
  }
  const simulated = waitedS / nowS;
  expect(meanWaiting(2.4, 3, { variation: 1, waitPart: 1 }) / simulated).toBeGreaterThan(0.95);
  expect(meanWaiting(2.4, 3, { variation: 1, waitPart: 1 }) / simulated).toBeLessThan(1.05);
});

test('pieces are convex, lie on the curve where they end, and leave the last of the capacity alone', () => {
  fc.assert(
    fc.property(fc.double({ min: 0.1, max: 500, noNaN: true }), workers, (capacity, count) => {
      const pieces = waitingPieces(capacity, count, kind);
      let [load, cost] = [0, 0];
      for (const [i, { width, slope }] of pieces.entries()) {
        expect(slope).toBeGreaterThanOrEqual((pieces[i - 1]?.slope ?? 0) - 1e-9);
        load += width;
        cost += width * slope;
        const exact = meanWaiting((load / capacity) * count, count, kind) * 1_000;
        expect(Math.abs(cost - exact)).toBeLessThanOrEqual(1e-6 * Math.max(1, exact));
      }
      expect(load / capacity).toBeCloseTo(0.98, 9);
    }),
  );
});
