import { expect, test } from '@jest/globals';
import { RegionPrice } from './region-price.ts';

/** Observes every 100 ms. @returns the time of the last look */
function observe(price: RegionPrice, contending: number, fromMs: number, forMs: number, slots = 2): number {
  let nowMs = fromMs;
  for (; nowMs < fromMs + forMs; nowMs += 100) price.observe({ contending, slots }, nowMs);
  return nowMs;
}

test('rises while more tasks are there than places, and falls while fewer are', () => {
  const price = new RegionPrice();
  let nowMs = observe(price, 6, 0, 2_000);
  const high = price.priceMs;
  expect(high).toBeGreaterThan(0);
  nowMs = observe(price, 1, nowMs, 600);
  expect(price.priceMs).toBeGreaterThan(0);
  expect(price.priceMs).toBeLessThan(high);
});

test('is nothing after a second without work, and without workers', () => {
  const price = new RegionPrice();
  let nowMs = observe(price, 6, 0, 5_000);
  nowMs = observe(price, 0, nowMs, 900);
  expect(price.priceMs).toBeGreaterThan(0);
  nowMs = observe(price, 0, nowMs, 300);
  expect(price.priceMs).toBe(0);
  nowMs = observe(price, 6, nowMs, 1_000);
  expect(price.priceMs).toBeGreaterThan(0);
  price.observe({ contending: 6, slots: 0 }, nowMs);
  expect(price.priceMs).toBe(0);
});
