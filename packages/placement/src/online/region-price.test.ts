import { expect, test } from '@jest/globals';
import { RegionPrice, restingOccupancy } from './region-price.ts';

/** Observes every 100 ms. @returns the time of the last look */
function observe(price: RegionPrice, contending: number, fromMs: number, forMs: number, slots = 2): number {
  let nowMs = fromMs;
  for (; nowMs < fromMs + forMs; nowMs += 100) price.observe({ contending, slots }, nowMs);
  return nowMs;
}

test('rises while more tasks are there than places, and falls while fewer are', () => {
  const price = new RegionPrice();
  let nowMs = observe(price, 9, 0, 2_000);
  const high = price.priceMs;
  expect(high).toBeGreaterThan(0);
  nowMs = observe(price, 1, nowMs, 600);
  expect(price.priceMs).toBeGreaterThan(0);
  expect(price.priceMs).toBeLessThan(high);
});

test('is nothing after a second without work, and without workers', () => {
  const price = new RegionPrice();
  let nowMs = observe(price, 9, 0, 5_000);
  nowMs = observe(price, 0, nowMs, 900);
  expect(price.priceMs).toBeGreaterThan(0);
  nowMs = observe(price, 0, nowMs, 300);
  expect(price.priceMs).toBe(0);
  nowMs = observe(price, 9, nowMs, 1_000);
  expect(price.priceMs).toBeGreaterThan(0);
  price.observe({ contending: 9, slots: 0 }, nowMs);
  expect(price.priceMs).toBe(0);
});

test('rests where chance alone would make it: a small region bears more for each place than a large one', () => {
  expect([1, 2, 3, 10, 100].map((places) => Number(restingOccupancy(places).toFixed(1)))).toEqual([4, 2.2, 1.7, 1, 1]);
  const price = new RegionPrice();
  observe(price, 4, 0, 3_000, 1);
  expect(price.priceMs).toBeLessThan(1);
  observe(price, 7, 3_000, 1_000, 1);
  expect(price.priceMs).toBeGreaterThan(1);
});
