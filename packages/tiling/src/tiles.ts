import { assert } from '@meridian/failure';
import type { Area, Size } from './area.ts';

export interface TilingWish {
  /** Pixels, upright. */
  readonly picture: Size;
  /** Of the model's input: a tile of this size is seen by the model as it is. */
  readonly input: Size;
  /** Tiles at most, 2 … TILES_MAX. */
  readonly tilesMax: number;
  /** Of a tile's side, that two neighbours share at least; 0 … OVERLAP_SHARE_MAX. */
  readonly overlapShare: number;
}

/** Each is a task; with the whole picture, 65 tasks for one picture. */
export const TILES_MAX = 64;
/** Above it most pixels would be in four tiles. */
export const OVERLAP_SHARE_MAX = 0.5;

/**
 * Where to cut a picture so that a model sees small objects in it: overlapping tiles of the model's aspect ratio in a grid,
 * row by row. After "Slicing Aided Hyper Inference" (SAHI: Akyon, Altinuc, Temizel, ICIP 2022), with the number of tiles
 * bounded: they are as large as the model's input, or larger where more than `tilesMax` would be needed.
 *
 * 1. Every pixel is in a tile, and every tile is inside of the picture.
 * 2. Neighbours share at least `overlapShare` of their side, to the pixel.
 * 3. Of all grids that fit, the one with the smallest tiles; of those, the one with the fewest.
 *
 * @returns none when one tile would be the whole picture: cutting would show the model nothing new
 */
export function tilesOf({ picture, input, tilesMax, overlapShare }: TilingWish): readonly Area[] {
  assert(Number.isInteger(tilesMax) && tilesMax >= 2 && tilesMax <= TILES_MAX, `2 … ${TILES_MAX} tiles`);
  assert(overlapShare >= 0 && overlapShare <= OVERLAP_SHARE_MAX, `an overlap of 0 … ${OVERLAP_SHARE_MAX}`);
  const scale = smallestScale(picture, input, tilesMax, overlapShare);
  const width = Math.min(picture.width, Math.ceil(input.width * scale));
  const height = Math.min(picture.height, Math.ceil(input.height * scale));
  const lefts = starts(picture.width, width, overlapShare);
  const tops = starts(picture.height, height, overlapShare);
  if (lefts.length * tops.length < 2) return [];
  return tops.flatMap((top) => lefts.map((left) => ({ left, top, width, height })));
}

/** Tile side ÷ input side of the grid with the smallest tiles, at least 1. */
function smallestScale(picture: Size, input: Size, tilesMax: number, overlapShare: number): number {
  let best = Number.POSITIVE_INFINITY;
  for (let columns = 1; columns <= tilesMax; columns++) {
    const rows = Math.floor(tilesMax / columns);
    const scale = Math.max(
      1,
      sideFor(picture.width, columns, overlapShare) / input.width,
      sideFor(picture.height, rows, overlapShare) / input.height,
    );
    best = Math.min(best, scale);
  }
  return best;
}

/** The side with which `count` tiles just cover the length. */
function sideFor(length: number, count: number, overlapShare: number): number {
  return length / (count - (count - 1) * overlapShare);
}

/** As few as cover the length with the overlap, evenly spread. */
function starts(length: number, side: number, overlapShare: number): number[] {
  if (side >= length) return [0];
  const step = side * (1 - overlapShare);
  // The side was rounded up, so the count that it was made for is never exceeded by rounding.
  const count = Math.ceil((length - side) / step - 1e-9) + 1;
  return Array.from({ length: count }, (_, i) => Math.round((i * (length - side)) / (count - 1)));
}
