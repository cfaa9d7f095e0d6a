import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isWorthShrinking, type PayloadQuestion } from './payload-form.ts';

const slow: PayloadQuestion = {
  pictureBytes: 4 * 2 ** 20,
  input: { width: 320, height: 320 },
  bandwidthMbps: 20,
  ahead: 0,
};

test('large pictures are shrunk for slow links, and for no others', () => {
  expect(isWorthShrinking(slow)).toBe(true);
  expect(isWorthShrinking({ ...slow, bandwidthMbps: 1000 })).toBe(false);
  expect(isWorthShrinking({ ...slow, pictureBytes: 110_000 })).toBe(false);
  expect(isWorthShrinking({ ...slow, bandwidthMbps: Number.POSITIVE_INFINITY })).toBe(false);
});

test('not where the model needs most of it, and not behind many others', () => {
  expect(isWorthShrinking({ ...slow, input: { width: 1024, height: 1024 } })).toBe(false);
  expect(isWorthShrinking({ ...slow, ahead: 10 })).toBe(false);
});

test('a slower link, or a shorter line, never makes it less worth', () => {
  const question = fc.record({
    pictureBytes: fc.integer({ min: 0, max: 16 * 2 ** 20 }),
    input: fc.constantFrom({ width: 128, height: 128 }, { width: 512, height: 512 }),
    bandwidthMbps: fc.double({ min: 0.1, max: 10_000, noNaN: true }),
    ahead: fc.integer({ min: 0, max: 20 }),
  });
  fc.assert(
    fc.property(question, (asked) => {
      if (!isWorthShrinking(asked)) return;
      expect(isWorthShrinking({ ...asked, bandwidthMbps: asked.bandwidthMbps / 2 })).toBe(true);
      expect(isWorthShrinking({ ...asked, ahead: Math.max(0, asked.ahead - 1) })).toBe(true);
    }),
  );
});
