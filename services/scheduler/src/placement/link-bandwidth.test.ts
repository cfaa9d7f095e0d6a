import { describe, expect, test } from '@jest/globals';
import { LinkBandwidth } from './link-bandwidth.ts';

const BYTES = 110_000;
/** What a picture takes at so many megabits a second, and the two ends. */
const takes = (mbps: number, endsMs = 5) => (BYTES * 8) / (mbps * 1_000) + endsMs;

describe('bandwidth of a link by its pictures', () => {
  test('is the configured one until enough were sent, and again when those are old', () => {
    const link = new LinkBandwidth(100);
    for (let n = 0; n < 7; n++) link.add(BYTES, takes(10), n);
    expect(link.estimate(10)).toEqual({ mbps: 100, transfers: 0 });
    link.add(BYTES, takes(10), 8);
    expect(link.estimate(10)).toEqual({ mbps: expect.closeTo(10, 6), transfers: 8 });
    expect(link.estimate(70_000)).toEqual({ mbps: 100, transfers: 0 });
  });

  test('is not more than configured, however fast a picture came, and small ones say nothing', () => {
    const link = new LinkBandwidth(100);
    for (let n = 0; n < 20; n++) link.add(BYTES, n % 2 === 0 ? 0 : -30, n);
    for (let n = 0; n < 20; n++) link.add(500, 400, n);
    expect(link.estimate(20)).toEqual({ mbps: 100, transfers: 20 });
  });

  test('most transfers may be late for other reasons; a single early one does not decide', () => {
    const link = new LinkBandwidth(1_000);
    for (let n = 0; n < 30; n++) link.add(BYTES, takes(20, n % 3 === 0 ? 5 : 80), n);
    link.add(BYTES, 1, 30);
    expect(link.estimate(30).mbps).toBeCloseTo(20, 6);
  });

  test('follows the link when that changes, and leaves out what is no number', () => {
    const link = new LinkBandwidth(1_000);
    for (let n = 0; n < 32; n++) link.add(BYTES, takes(50), n);
    for (let n = 0; n < 32; n++) link.add(BYTES, takes(5), 100 + n);
    link.add(BYTES, Number.NaN, 200);
    expect(link.estimate(200)).toEqual({ mbps: expect.closeTo(5, 6), transfers: 32 });
  });
});
