import { describe, expect, test } from '@jest/globals';
import { median, meets, percentile } from './report.ts';

describe('report', () => {
  test('judges a value by its goal', () => {
    expect([meets(0.8, '>= 0.8'), meets(0.79, '>= 0.8'), meets(60, '<= 60'), meets(61, '<= 60'), meets(1, '')]).toEqual(
      [true, false, true, false, true],
    );
    expect(() => meets(1, 'about 3')).toThrow(/goal/);
  });
  test('median of odd and even counts', () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3])]).toEqual([2, 2.5]);
  });
  test('percentiles are values that occurred', () => {
    const values = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect([0, 0.5, 0.99, 1].map((share) => percentile(values, share))).toEqual([1, 50, 99, 100]);
    expect(percentile([5], 0.99)).toBe(5);
    expect(() => percentile([], 0.5)).toThrow(/no values/);
  });
});
