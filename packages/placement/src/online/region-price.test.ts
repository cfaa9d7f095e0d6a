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

test('rests at one task for each place, in a region of one place too: what one look sees too much, the next may see too little', () => {
  const price = new RegionPrice();
  for (let nowMs = 0; nowMs < 3_000; nowMs += 100)
    price.observe({ contending: nowMs % 200 === 0 ? 0 : 2, slots: 1 }, nowMs);
  expect(price.priceMs).toBe(0);
  observe(price, 2, 3_000, 1_000, 1);
  expect(price.priceMs).toBeGreaterThan(1);
});
