import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { TILES_MAX, tilesOf } from './tiles.ts';

const side = fc.integer({ min: 1, max: 8000 });
const wish = fc.record({
  picture: fc.record({ width: side, height: side }),
  input: fc.constantFrom({ width: 320, height: 320 }, { width: 512, height: 288 }, { width: 128, height: 256 }),
  tilesMax: fc.integer({ min: 2, max: TILES_MAX }),
  overlapShare: fc.constantFrom(0, 0.1, 0.2, 0.5),
});

/** Along one axis: the starts, sorted. */
const startsOf = (values: readonly number[]) => [...new Set(values)].sort((a, b) => a - b);

test('every pixel is in a tile, every tile in the picture, neighbours share the overlap, and there are not too many', () => {
  fc.assert(
    fc.property(wish, (asked) => {
      const { picture, tilesMax, overlapShare } = asked;
      const tiles = tilesOf(asked);
      if (tiles.length === 0) return;
      expect(tiles.length).toBeLessThanOrEqual(tilesMax);
      const { width, height } = tiles[0] as { width: number; height: number };
      const lefts = startsOf(tiles.map(({ left }) => left));
      const tops = startsOf(tiles.map(({ top }) => top));
      // All of them, once each: then the axes can be looked at alone.
      expect(tiles).toEqual(tops.flatMap((top) => lefts.map((left) => ({ left, top, width, height }))));
      for (const [starts, length, tile] of [
        [lefts, picture.width, width],
        [tops, picture.height, height],
      ] as const) {
        expect(starts[0]).toBe(0);
        expect((starts.at(-1) ?? 0) + tile).toBe(length);
        for (const [i, start] of starts.entries()) {
          if (i === 0) continue;
          const shared = (starts[i - 1] ?? 0) + tile - start;
          expect(shared).toBeGreaterThanOrEqual(Math.max(0, Math.floor(tile * overlapShare) - 1));
        }
      }
    }),
    { numRuns: 3000 },
  );
});

test('small pictures, pixel by pixel', () => {
  const small = fc.integer({ min: 1, max: 60 });
  fc.assert(
    fc.property(small, small, fc.integer({ min: 2, max: 12 }), (width, height, tilesMax) => {
      const picture = { width, height };
      const tiles = tilesOf({ picture, input: { width: 10, height: 8 }, tilesMax, overlapShare: 0.2 });
      if (tiles.length === 0) return;
      const covered = new Uint8Array(width * height);
      for (const tile of tiles)
        for (let y = tile.top; y < tile.top + tile.height; y++)
          for (let x = tile.left; x < tile.left + tile.width; x++) covered[y * width + x] = 1;
      expect(covered.every((value) => value === 1)).toBe(true);
    }),
    { numRuns: 1000 },
  );
});

test('tiles are as large as the input where that is few enough, else larger, with the aspect of the input', () => {
  const input = { width: 320, height: 320 };
  const exact = tilesOf({ picture: { width: 832, height: 576 }, input, tilesMax: 9, overlapShare: 0.2 });
  expect(exact.map(({ left, top }) => [left, top])).toEqual([
    [0, 0],
    [256, 0],
    [512, 0],
    [0, 256],
    [256, 256],
    [512, 256],
  ]);
  expect(exact.every(({ width, height }) => width === 320 && height === 320)).toBe(true);
  const large = tilesOf({ picture: { width: 4000, height: 3000 }, input, tilesMax: 9, overlapShare: 0.2 });
  expect(large.length).toBeLessThanOrEqual(9);
  expect(large[0]?.width).toBe(large[0]?.height);
  // 3 × 3 tiles of 1,539 pixels cover 4,000; 4 × 2 would need 1,667 for the height.
  expect(large[0]?.width).toBe(1539);
});

test('nothing is cut where the model sees the picture as it is', () => {
  const input = { width: 320, height: 320 };
  expect(tilesOf({ picture: { width: 320, height: 200 }, input, tilesMax: 9, overlapShare: 0.2 })).toEqual([]);
});
