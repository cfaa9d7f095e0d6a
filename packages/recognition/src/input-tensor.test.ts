import { describe, expect, test } from '@jest/globals';
import { inputSchema } from '@meridian/models';
import { tensorOf } from './input-tensor.ts';

/** Two pixels in a row: (1, 2, 3) and (4, 5, 255). */
const pixels = { width: 8, height: 8, channels: 3, data: new Uint8Array(192) };
pixels.data.set([1, 2, 3, 4, 5, 255]);
const base = { name: 'x', width: 8, height: 8, fit: 'stretch' };
const firstOf = (data: ArrayLike<number>, step: number): number[] => [0, step, 2 * step].map((at) => data[at] ?? -1);

describe('tensorOf', () => {
  test('passes interleaved bytes on without a copy', () => {
    const tensor = tensorOf(pixels, inputSchema.parse({ ...base, layout: 'NHWC', type: 'uint8' }));
    expect(tensor.data).toBe(pixels.data);
    expect(tensor.dims).toEqual([1, 8, 8, 3]);
  });

  test('separates channels, in either order', () => {
    const rgb = tensorOf(pixels, inputSchema.parse({ ...base, layout: 'NCHW', type: 'uint8' }));
    const bgr = tensorOf(pixels, inputSchema.parse({ ...base, layout: 'NCHW', type: 'uint8', channels: 'BGR' }));
    expect(rgb.dims).toEqual([1, 3, 8, 8]);
    expect([firstOf(rgb.data, 64), firstOf(bgr.data, 64)]).toEqual([
      [1, 2, 3],
      [3, 2, 1],
    ]);
    const swapped = tensorOf(pixels, inputSchema.parse({ ...base, layout: 'NHWC', type: 'uint8', channels: 'BGR' }));
    expect(Array.from(swapped.data.subarray(0, 6))).toEqual([3, 2, 1, 255, 5, 4]);
  });

  test('value = (channel · scale − mean) ÷ std, each channel with its own', () => {
    const spec = { scale: 1 / 255, mean: [0.5, 0.25, 0], std: [0.5, 1, 2] };
    const { data } = tensorOf(pixels, inputSchema.parse({ ...base, ...spec, layout: 'NCHW', type: 'float32' }));
    const expected = [(1 / 255 - 0.5) / 0.5, 2 / 255 - 0.25, 3 / 255 / 2].map(Math.fround);
    expect(firstOf(data, 64)).toEqual(expected);
    expect(data[129]).toBe(0.5);
  });
});
