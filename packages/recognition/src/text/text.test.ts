import { describe, expect, test } from '@jest/globals';
import { decoderSchema, inputSchema } from '@meridian/models';
import fc from 'fast-check';
import type { Point } from '../recognition.ts';
import { cropLine } from './line-crop.ts';
import { detectLines, findCores } from './line-detection.ts';
import { inReadingOrder } from './reading-order.ts';
import { cornersOf, leastRectangle, scaledBy, turnedIfVertical } from './rotated-rectangle.ts';
import { transcribe } from './transcription.ts';

const spec = decoderSchema.parse({ kind: 'ppocr' });
if (spec.kind !== 'ppocr') throw new Error('another decoder');
const text = spec;

function rectangleAt(angle: number, width: number, height: number): Point[] {
  const along = { x: Math.cos(angle), y: Math.sin(angle) };
  return cornersOf({ centre: { x: 100, y: 60 }, width, height, along, across: { x: -along.y, y: along.x } });
}

describe('leastRectangle', () => {
  test('finds a rectangle again at any angle, from its corners and points inside', () => {
    const size = fc.integer({ min: 2, max: 90 });
    fc.assert(
      fc.property(fc.double({ min: -Math.PI, max: Math.PI, noNaN: true }), size, size, (angle, width, height) => {
        const corners = rectangleAt(angle, width, height);
        const found = leastRectangle([...corners, { x: 100, y: 60 }]);
        expect(found.width * found.height).toBeCloseTo(width * height, 4);
        expect(found.centre.x).toBeCloseTo(100, 4);
        expect(found.along.x).toBeGreaterThanOrEqual(Math.SQRT1_2 - 1e-6);
        expect(found.across.y).toBeGreaterThanOrEqual(Math.SQRT1_2 - 1e-6);
      }),
    );
  });

  test('contains all points', () => {
    const point = fc.record({ x: fc.integer({ min: 0, max: 50 }), y: fc.integer({ min: 0, max: 50 }) });
    fc.assert(
      fc.property(fc.array(point, { minLength: 1, maxLength: 40 }), (points) => {
        const { centre, along, across, width, height } = leastRectangle(points);
        for (const { x, y } of points) {
          const [dx, dy] = [x - centre.x, y - centre.y];
          expect(Math.abs(dx * along.x + dy * along.y)).toBeLessThanOrEqual(width / 2 + 1e-6);
          expect(Math.abs(dx * across.x + dy * across.y)).toBeLessThanOrEqual(height / 2 + 1e-6);
        }
      }),
    );
  });

  test('corners are in reading order; a high line is turned to be read downwards', () => {
    const level = leastRectangle(rectangleAt(0, 40, 10));
    expect(cornersOf(level).map(({ x, y }) => [Math.round(x), Math.round(y)])).toEqual([
      [80, 55],
      [120, 55],
      [120, 65],
      [80, 65],
    ]);
    const high = turnedIfVertical(leastRectangle(rectangleAt(0, 10, 40)), 1.5);
    expect([high.width, high.height, high.along.y]).toEqual([40, 10, 1].map((value) => expect.closeTo(value, 6)));
    expect(scaledBy(level, { x: 2, y: 3 })).toMatchObject({ width: 80, height: 30, centre: { x: 200, y: 180 } });
  });
});

describe('detectLines', () => {
  const width = 60;
  const height = 40;

  function map(...bars: [number, number, number, number, number][]): {
    data: Float32Array;
    width: number;
    height: number;
  } {
    const data = new Float32Array(width * height);
    for (const [x0, y0, x1, y1, value] of bars) {
      for (let y = y0; y < y1; y += 1) data.fill(value, y * width + x0, y * width + x1);
    }
    return { data, width, height };
  }

  test('grows each core by the paper’s distance; weak and thin ones are no lines', () => {
    const found = detectLines(map([10, 10, 50, 16, 0.9], [5, 25, 30, 31, 0.4], [5, 36, 50, 38, 0.9]), text);
    expect(found).toHaveLength(1);
    const distance = (40 * 6 * 1.5) / (2 * (40 + 6));
    expect(found[0]?.score).toBeCloseTo(0.9, 6);
    expect(found[0]?.rectangle).toMatchObject({
      centre: { x: 30, y: 13 },
      width: expect.closeTo(40 + 2 * distance, 6),
      height: expect.closeTo(6 + 2 * distance, 6),
    });
  });

  test('cores that touch at a corner are one, others are not; at most linesMax come out, best first', () => {
    expect(findCores(map([0, 0, 5, 5, 1], [5, 5, 9, 9, 1], [20, 0, 25, 5, 1]), 0.3)).toHaveLength(2);
    const two = map([0, 0, 20, 5, 0.7], [0, 10, 20, 15, 0.9], [0, 20, 20, 25, 0.8]);
    expect(detectLines(two, { ...text, linesMax: 2 }).map(({ score }) => score)).toEqual([
      expect.closeTo(0.9, 6),
      expect.closeTo(0.8, 6),
    ]);
  });
});

describe('cropLine', () => {
  const input = inputSchema.parse({
    name: 'x',
    width: 64,
    height: 8,
    fit: 'letterbox',
    layout: 'NCHW',
    type: 'float32',
  });
  /** Red grows to the right, green downwards. */
  const pixels = { width: 100, height: 100, channels: 3, data: new Uint8Array(30_000) };
  for (let i = 0; i < 10_000; i += 1) pixels.data.set([i % 100, Math.floor(i / 100), 0], i * 3);
  const line = { centre: { x: 50, y: 50 }, along: { x: 1, y: 0 }, across: { x: 0, y: 1 } };

  test('is as wide as the line needs, in steps, and shows it', () => {
    const { data, dims } = cropLine(pixels, { ...line, width: 20, height: 8 }, input);
    expect(dims).toEqual([1, 3, 8, 24]);
    expect([data[0], data[19], data[20], data[8 * 24]]).toEqual([40, 59, 0, 46]);
  });

  test('squeezes what is too long, turns what is turned', () => {
    expect(cropLine(pixels, { ...line, width: 90, height: 1 }, input).dims).toEqual([1, 3, 8, 64]);
    const turned = { ...line, along: { x: 0, y: 1 }, across: { x: -1, y: 0 }, width: 16, height: 8 };
    const { data } = cropLine(pixels, turned, input);
    expect([data[0], data[8 * 16], data[8 * 16 + 15]]).toEqual([53, 42, 57]);
  });
});

describe('transcribe', () => {
  function steps(...classes: number[]): { dims: number[]; data: Float32Array } {
    const data = new Float32Array(classes.length * 4);
    for (const [step, best] of classes.entries()) data[step * 4 + best] = 0.5 + step / 100;
    return { dims: [1, classes.length, 4], data };
  }

  test('repeats are one character, a blank between them makes two', () => {
    expect(transcribe(steps(0, 1, 1, 0, 1, 2, 2), ['a', 'b', ' ']).text).toBe('aab');
    expect(transcribe(steps(1, 3, 2), ['a', 'b', ' ']).text).toBe('a b');
    expect(transcribe(steps(0, 0), ['a', 'b', ' '])).toEqual({ text: '', score: 0 });
  });

  test('refuses an alphabet that is not the network’s', () => {
    expect(() => transcribe(steps(1), ['a'])).toThrow(/4 classes, the manifest 1 labels/);
  });
});

test('inReadingOrder: rows from top to bottom, each from left to right', () => {
  const at = (text: string, x0: number, y0: number) => ({
    ...{ label: 'text', classIndex: 0, score: 1, text },
    box: { x0, y0, x1: x0 + 0.1, y1: y0 + 0.1 },
  });
  const lines = [at('d', 0.5, 0.5), at('b', 0.6, 0.11), at('a', 0.1, 0.12), at('c', 0.1, 0.48)];
  expect(inReadingOrder(lines).map((line) => line.text)).toEqual(['a', 'b', 'c', 'd']);
});
