import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PRICE_INTERVAL_MS, PriceController } from './price.ts';

test('a price rises while there are more tasks than workers, and falls the sooner the fewer there are', () => {
  const after = (...outstanding: readonly number[]) => {
    const controller = new PriceController();
    for (const each of outstanding) controller.observe(each, 4, PRICE_INTERVAL_MS);
    return controller.priceMs;
  };
  expect(after(8)).toBeGreaterThan(0);
  expect(after(8, 8)).toBeGreaterThan(after(8));
  expect(after(8, 2)).toBeLessThan(after(8, 4));
  expect(after(8, 4)).toBeLessThan(after(8));
  expect(after(2, 2)).toBe(0);
});

test('a price comes to rest where the excess holds it, however often the region looks', () => {
  const rest = (intervalMs: number) => {
    const controller = new PriceController();
    for (let timeMs = 0; timeMs < 60_000; timeMs += intervalMs) controller.observe(6, 4, intervalMs);
    return controller.priceMs;
  };
  expect(rest(PRICE_INTERVAL_MS)).toBeCloseTo(150, 1);
  expect(rest(10 * PRICE_INTERVAL_MS)).toBeCloseTo(150, 1);
});

test('stays between nothing and its bound, whatever it sees', () => {
  const sight = fc.tuple(fc.integer({ min: 0, max: 100_000 }), fc.integer({ min: 0, max: 100 }), fc.nat(10_000));
  fc.assert(
    fc.property(fc.array(sight, { maxLength: 50 }), (seen) => {
      const controller = new PriceController();
      for (const [outstanding, workers, elapsedMs] of seen) {
        controller.observe(outstanding, workers, elapsedMs);
        expect(controller.priceMs).toBeGreaterThanOrEqual(0);
        expect(controller.priceMs).toBeLessThanOrEqual(900);
      }
    }),
  );
});
