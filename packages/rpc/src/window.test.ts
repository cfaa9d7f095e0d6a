import { describe, expect, test } from '@jest/globals';
import { WINDOW_BYTES_MAX, WINDOW_BYTES_MIN, windowBytes } from './window.ts';

describe('window of a link', () => {
  test('twice round trip times bandwidth, within the limits', () => {
    expect(windowBytes(20, 1000)).toBe(5_000_000);
    expect(windowBytes(0, 1000)).toBe(WINDOW_BYTES_MIN);
    expect(windowBytes(150, 1000)).toBe(WINDOW_BYTES_MAX);
  });
});
