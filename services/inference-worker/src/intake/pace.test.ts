import { expect, test } from '@jest/globals';
import { Pace } from './pace.ts';

test('says nothing before it has measured, then what it decides and by which times', () => {
  const pace = new Pace({ slots: 2, inFlightPerSlot: 3, prefetchMax: 64 });
  for (let i = 0; i < 31; i++) pace.observe(60, 20);
  expect(pace.measured).toEqual({});
  pace.observe(60, 20);
  const { claimsAhead, fetchMs = 0, serviceMs = 0 } = pace.measured;
  // 6 that the slots hold, 1.5 × 2 × 60 ÷ 20 while bytes travel, and 4.
  expect([claimsAhead, pace.target]).toEqual([19, 19]);
  expect(Math.abs(fetchMs - 60)).toBeLessThan(0.04 * 60);
  expect(Math.abs(serviceMs - 20)).toBeLessThan(0.04 * 20);
});
