import { describe, expect, test } from '@jest/globals';
import { inputSchema } from '@meridian/models';
import fc from 'fast-check';
import { boxWithin, placementOf, pointWithin } from './geometry.ts';

const base = { name: 'x', width: 320, height: 224, layout: 'NHWC', type: 'uint8' };
const side = fc.integer({ min: 1, max: 5000 });

describe('placementOf', () => {
  test('a letterboxed picture lies within the input, touches it on one axis and keeps its shape', () => {
    const input = inputSchema.parse({ ...base, fit: 'letterbox' });
    fc.assert(
      fc.property(side, side, (width, height) => {
        const placed = placementOf({ width, height }, input);
        expect(placed.width === input.width || placed.height === input.height).toBe(true);
        expect(placed.width <= input.width && placed.height <= input.height).toBe(true);
        // Whole pixels, and at least one of them.
        const scale = Math.min(input.width / width, input.height / height);
        expect(Math.abs(placed.width - Math.max(1, width * scale))).toBeLessThanOrEqual(0.5);
        expect(Math.abs(placed.height - Math.max(1, height * scale))).toBeLessThanOrEqual(0.5);
      }),
    );
  });

  test('a cropped picture covers the input', () => {
    const input = inputSchema.parse({ ...base, fit: 'crop', shorterSide: 320 });
    fc.assert(
      fc.property(side, side, (width, height) => {
        const placed = placementOf({ width, height }, input);
        expect(placed.left <= 0 && placed.left + placed.width >= input.width).toBe(true);
        expect(placed.top <= 0 && placed.top + placed.height >= input.height).toBe(true);
      }),
    );
  });
});

describe('boxWithin', () => {
  const placement = { left: -20, top: 0, width: 100, height: 50 };

  test('turns input pixels into fractions of the picture', () => {
    expect(boxWithin(placement, 0, 10, 30, 25)).toEqual({ x0: 0.2, y0: 0.2, x1: 0.5, y1: 0.5 });
    expect(pointWithin(placement, 80, 50)).toEqual({ x: 1, y: 1 });
  });

  test('cuts what is outside and drops what is wholly outside or empty', () => {
    expect(boxWithin(placement, -90, -9, 30, 90)).toEqual({ x0: 0, y0: 0, x1: 0.5, y1: 1 });
    expect(boxWithin(placement, 200, 10, 300, 20)).toBeUndefined();
    expect(boxWithin(placement, 30, 10, 30, 20)).toBeUndefined();
    expect(boxWithin(placement, Number.NaN, 10, 30, 20)).toBeUndefined();
  });
});
