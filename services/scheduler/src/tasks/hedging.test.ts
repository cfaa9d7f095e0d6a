import { expect, test } from '@jest/globals';
import { Hedging } from './hedging.ts';

/** Calls that were expected to take 100 ms, one in `slowEvery` of which took `slowMs`. */
function learn(hedging: Hedging, calls: number, slowEvery = 50, slowMs = 400): void {
  for (let i = 0; i < calls; i++) {
    hedging.placed();
    hedging.ended(100, i % slowEvery === 0 ? slowMs : 90);
  }
}

test('late is what outlasts all but a hundredth, against what was expected', () => {
  const hedging = new Hedging();
  learn(hedging, 199);
  expect(hedging.isDue(100, 10_000)).toBe(false);
  learn(hedging, 1);
  expect([hedging.isDue(100, 400), hedging.isDue(100, 401), hedging.isDue(200, 700)]).toEqual([false, true, false]);
});

test('no more than two in a hundred, but for four that were saved up', () => {
  const hedging = new Hedging();
  learn(hedging, 1_000);
  let hedged = 0;
  for (let i = 0; i < 1_000; i++) {
    hedging.placed();
    if (!hedging.isDue(100, 10_000)) continue;
    hedging.spent();
    hedged++;
  }
  expect(hedged).toBeGreaterThanOrEqual(20);
  expect(hedged).toBeLessThanOrEqual(24);
});
