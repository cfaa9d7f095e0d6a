import { describe, expect, test } from '@jest/globals';
import { median, meets } from './report.ts';

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
});
