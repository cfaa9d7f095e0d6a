import { describe, expect, test } from '@jest/globals';
import { claimsAheadOf, readClaimsAhead } from './claims-ahead.ts';

describe('what a worker says of the claims that it takes ahead', () => {
  const said = { claimsAhead: 6, fetchMs: 52, serviceMs: 31 };

  test('is read; one that has not measured, or does not say, has none', () => {
    expect(readClaimsAhead(said)).toEqual({ claims: 6, fetchMs: 52, serviceMs: 31 });
    expect(readClaimsAhead({ claimsAhead: 0, fetchMs: 0, serviceMs: 0 })).toBeUndefined();
  });

  test.each([Number.NaN, -1, Number.POSITIVE_INFINITY, 600_001])('is absurd with a time of %d', (ms) => {
    expect([readClaimsAhead({ ...said, fetchMs: ms }), readClaimsAhead({ ...said, serviceMs: ms })]).toEqual([
      'absurd',
      'absurd',
    ]);
  });

  test('is absurd with more claims than a worker can be configured to take', () => {
    expect(readClaimsAhead({ ...said, claimsAhead: 1_025 })).toBe('absurd');
  });
});

test('workers of a region together: claims add up, times are medians', () => {
  expect(claimsAheadOf([])).toBeUndefined();
  const one = { claims: 8, fetchMs: 5, serviceMs: 30 };
  expect(claimsAheadOf([one])).toEqual({ workers: 1, ...one });
  const others = [
    { claims: 20, fetchMs: 90, serviceMs: 40 },
    { claims: 11, fetchMs: 50, serviceMs: 10 },
  ];
  expect(claimsAheadOf([one, ...others])).toEqual({ workers: 3, claims: 39, fetchMs: 50, serviceMs: 30 });
  expect(claimsAheadOf(others)).toEqual({ workers: 2, claims: 31, fetchMs: 70, serviceMs: 25 });
});
