import type { Tiling } from '@meridian/contracts/recognition';
import { Failure } from '@meridian/failure';
import type { CutOrder } from '@meridian/recognition/picture-cutter';
import { OVERLAP_SHARE_MAX, TILES_MAX } from '@meridian/tiling';
import { z } from 'zod';

/** What a caller asks for, checked. */
export interface TilingWish {
  readonly tilesMax: number;
  readonly overlapPercent: number;
  readonly lossy: boolean;
}

const OVERLAP_PERCENT = 20;
const OVERLAP_PERCENT_MAX = OVERLAP_SHARE_MAX * 100;

/** @throws Failure INVALID_ARGUMENT / TILING_INVALID. Not retryable. */
export function tilingWish(tiling: Tiling | undefined): TilingWish | undefined {
  if (tiling === undefined) return undefined;
  const { maxTiles: tilesMax, overlapPercent, lossy } = tiling;
  if (tilesMax < 2 || tilesMax > TILES_MAX)
    throw invalid(`tiling.max_tiles: expected 2 … ${TILES_MAX}, found ${tilesMax}`);
  if (overlapPercent > OVERLAP_PERCENT_MAX)
    throw invalid(`tiling.overlap_percent: expected 1 … ${OVERLAP_PERCENT_MAX}, or 0 for ${OVERLAP_PERCENT}`);
  return { tilesMax, overlapPercent: overlapPercent === 0 ? OVERLAP_PERCENT : overlapPercent, lossy };
}

/** Tasks of one picture: what is not tiled is one. */
export function tasksOfPicture(wish: TilingWish | undefined): number {
  return wish === undefined ? 1 : wish.tilesMax + 2;
}

const side = z.int().min(8).max(4096);
const cuttable = z.object({
  decoder: z.object({ kind: z.enum(['rows', 'boxes', 'yolo', 'blazeface', 'classifier']) }),
  parts: z.object({
    model: z.object({
      input: z.object({
        width: side,
        height: side,
        fit: z.enum(['letterbox', 'stretch', 'crop']),
        shorterSide: side.optional(),
      }),
    }),
  }),
});

/**
 * How pictures are cut for a model, by what its manifest says of its input.
 * @throws Failure INVALID_ARGUMENT / TILING_UNSUPPORTED for a model that gives no boxes to merge. Not retryable.
 */
export function cutOrderFor(wish: TilingWish, name: string, manifest: unknown): CutOrder {
  const read = cuttable.safeParse(manifest);
  if (!read.success || read.data.decoder.kind === 'classifier') {
    const message = `model ${name} cannot be used with tiling: only models that find objects in boxes can`;
    throw new Failure('INVALID_ARGUMENT', message, { reason: 'TILING_UNSUPPORTED' });
  }
  const { tilesMax, overlapPercent, lossy } = wish;
  return { input: read.data.parts.model.input, tilesMax, overlapShare: overlapPercent / 100, lossy };
}

/** What the model sees of a picture; undefined where that is more than its input, as with text, and for what is no manifest. */
export function inputFrameOf(manifest: unknown): CutOrder['input'] | undefined {
  return cuttable.safeParse(manifest).data?.parts.model.input;
}

function invalid(message: string): Failure {
  return new Failure('INVALID_ARGUMENT', message, { reason: 'TILING_INVALID' });
}
