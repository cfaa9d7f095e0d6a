import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type PayloadQuestion, payloadForm } from './payload-form.ts';

const large: PayloadQuestion = {
  picture: { bytes: 4_000_000, width: 4_000, height: 3_000 },
  model: { width: 320, height: 320 },
  way: { roundTripMs: 50, bandwidthMbps: 20 },
  megabytePriceMs: 0,
  downscaleMs: 40,
  isLossyAllowed: false,
};

describe('payloadForm', () => {
  test('scales at the origin what is much too large for the model, when the link is slow', () => {
    const decision = payloadForm(large);
    expect(decision).toMatchObject({ form: 'downscaled-lossless', bytes: 204_800 });
    // 3,795,200 B less at 20 Mbit/s, 40 ms of work.
    expect(decision.savedMs).toBeCloseTo(1_518.08 - 40, 6);
    expect(decision.reason).toBe('downscaled-lossless: 204800 B in place of 4000000, 1478.1 ms sooner');
  });

  test('is lossy only where the caller allows it', () => {
    expect(payloadForm({ ...large, isLossyAllowed: true }).form).toBe('downscaled-lossy');
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e8 }), fc.integer({ min: 1, max: 10_000 }), (bytes, side) => {
        const picture = { bytes, width: side, height: side };
        expect(payloadForm({ ...large, picture }).form).not.toBe('downscaled-lossy');
      }),
    );
  });

  test.each([
    [
      'a picture near the size of the model',
      { picture: { bytes: 500_000, width: 600, height: 600 } },
      /times the pixels/,
    ],
    ['a link that is wide', { way: { roundTripMs: 50, bandwidthMbps: 10_000 } }, /downscaling takes 40 ms of the/],
    ['a picture that is small already', { picture: { bytes: 90_000, width: 4_000, height: 3_000 } }, /are not more/],
    ['an origin that is slow at it', { downscaleMs: 5_000 }, /downscaling takes 5000 ms/],
  ])('keeps the original: %s', (_, change, reason) => {
    expect(payloadForm({ ...large, ...change })).toMatchObject({ form: 'original', savedMs: 0 });
    expect(payloadForm({ ...large, ...change }).reason).toMatch(reason);
  });

  test("a price on the target's bytes is a reason too", () => {
    const wide = { ...large, way: { roundTripMs: 50, bandwidthMbps: 10_000 } };
    expect(payloadForm({ ...wide, megabytePriceMs: 100 }).form).toBe('downscaled-lossless');
  });

  test.each([
    ['bytes', { picture: { bytes: Number.NaN, width: 1, height: 1 } }, /^picture bytes: NaN/],
    ['bandwidth', { way: { roundTripMs: 1, bandwidthMbps: 0 } }, /^bandwidth: 0/],
    ['price', { megabytePriceMs: -1 }, /^price of a megabyte: -1/],
  ])('refuses absurd %s by name', (_, change, message) => {
    expect(() => payloadForm({ ...large, ...change })).toThrow(message);
  });
});
