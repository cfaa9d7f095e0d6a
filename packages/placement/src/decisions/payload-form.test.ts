import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { downscaledBytes, isWorthDownscaling, type PayloadQuestion, payloadForm } from './payload-form.ts';

const large: PayloadQuestion = {
  picture: { bytes: 4_000_000, pixels: 12_000_000 },
  modelPixels: 320 * 320,
  way: { roundTripMs: 50, bandwidthMbps: 20 },
  downscaleMs: 40,
  isLossyAllowed: false,
};
const questions = fc.record({
  picture: fc.record({ bytes: fc.integer({ min: 0, max: 2 ** 24 }), pixels: fc.integer({ min: 1, max: 25_000_000 }) }),
  modelPixels: fc.constantFrom(128 * 128, 320 * 320, 512 * 512),
  way: fc.record({
    roundTripMs: fc.double({ min: 0, max: 600, noNaN: true }),
    bandwidthMbps: fc.oneof(fc.double({ min: 0.1, max: 10_000, noNaN: true }), fc.constant(Number.POSITIVE_INFINITY)),
  }),
  downscaleMs: fc.double({ min: 0, max: 5_000, noNaN: true }),
  isLossyAllowed: fc.boolean(),
});

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
      fc.property(questions, (question) => {
        expect(payloadForm({ ...question, isLossyAllowed: false }).form).not.toBe('downscaled-lossy');
      }),
    );
  });

  test('its two steps for every task and region say the same', () => {
    let downscaled = 0;
    const check = (question: PayloadQuestion) => {
      const { picture, modelPixels, way, downscaleMs, isLossyAllowed } = question;
      const form = isLossyAllowed ? 'downscaled-lossy' : 'downscaled-lossless';
      const small = downscaledBytes(picture.bytes, picture.pixels, modelPixels, form);
      const isWorth =
        small > 0 && isWorthDownscaling(picture.bytes, small, downscaleMs, way.roundTripMs, way.bandwidthMbps);
      const expected = isWorth ? { form, bytes: small } : { form: 'original', bytes: picture.bytes };
      expect(payloadForm(question)).toMatchObject(expected);
      if (isWorth) downscaled++;
    };
    fc.assert(fc.property(questions, check), { numRuns: 2_000 });
    // Both answers were looked at.
    expect(downscaled).toBeGreaterThan(50);
  });

  test('a slower link, or less to wait for, never makes it less worth', () => {
    const check = (question: PayloadQuestion) => {
      if (payloadForm(question).form === 'original') return;
      const { way, downscaleMs } = question;
      const slower = { ...question, way: { ...way, bandwidthMbps: way.bandwidthMbps / 2 } };
      expect(payloadForm(slower).form).not.toBe('original');
      expect(payloadForm({ ...question, downscaleMs: downscaleMs / 2 }).form).not.toBe('original');
    };
    fc.assert(fc.property(questions, check), { numRuns: 1_000 });
  });

  test.each([
    ['a picture near the size of the model', { picture: { bytes: 500_000, pixels: 360_000 } }, /times the pixels/],
    ['a link that is wide', { way: { roundTripMs: 50, bandwidthMbps: 10_000 } }, /downscaling takes 40 ms of the/],
    ['a picture of few bytes', { picture: { bytes: 190_000, pixels: 12_000_000 } }, /are not more/],
    ['an ordinary picture', { picture: { bytes: 110_000, pixels: 12_000_000 } }, /are less than/],
    ['an origin that is slow at it', { downscaleMs: 5_000 }, /downscaling takes 5000 ms/],
  ])('keeps the original: %s', (_, change, reason) => {
    expect(payloadForm({ ...large, ...change })).toMatchObject({ form: 'original', savedMs: 0 });
    expect(payloadForm({ ...large, ...change }).reason).toMatch(reason);
  });

  test('inside of a region nothing is downscaled, even if it took no time', () => {
    const inside = { roundTripMs: 0, bandwidthMbps: Number.POSITIVE_INFINITY };
    expect(payloadForm({ ...large, way: inside, downscaleMs: 0 }).form).toBe('original');
  });

  test.each([
    ['bytes', { picture: { bytes: Number.NaN, pixels: 1 } }, /^picture bytes: NaN/],
    ['bandwidth', { way: { roundTripMs: 1, bandwidthMbps: 0 } }, /^bandwidth: 0/],
    ['time', { downscaleMs: -1 }, /^downscaling: -1/],
  ])('refuses absurd %s by name', (_, change, message) => {
    expect(() => payloadForm({ ...large, ...change })).toThrow(message);
  });
});
