import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PRICE_INTERVAL_MS, PriceController } from './price.ts';

test('a price rises while there are more tasks than workers, falls while there are fewer, and rests between', () => {
  const controller = new PriceController();
  controller.observe(8, 4, PRICE_INTERVAL_MS);
  const risen = controller.priceMs;
  expect(risen).toBeGreaterThan(0);
  controller.observe(4, 4, PRICE_INTERVAL_MS);
  expect(controller.priceMs).toBe(risen);
  controller.observe(2, 4, PRICE_INTERVAL_MS);
  expect(controller.priceMs).toBeLessThan(risen);
});

test('stays between nothing and its bound, whatever it sees', () => {
  const sight = fc.tuple(fc.integer({ min: 0, max: 100_000 }), fc.integer({ min: 0, max: 100 }), fc.nat(10_000));
  fc.assert(
    fc.property(fc.array(sight, { maxLength: 50 }), (seen) => {
      const controller = new PriceController();
      for (const [outstanding, workers, elapsedMs] of seen) {
        controller.observe(outstanding, workers, elapsedMs);
        expect(controller.priceMs).toBeGreaterThanOrEqual(0);
        expect(controller.priceMs).toBeLessThanOrEqual(2_000);
      }
    }),
  );
});
