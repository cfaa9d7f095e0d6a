import { inputFrameOf } from '../tiling/tiling-wish.ts';

/** Manifests are read often and change with the registry only. */
const known = new WeakMap<object, number>();
/** Of a picture that is scaled to a shorter side and then cropped: pictures are 4 : 3, mostly. */
const LONGER_SIDE = 4 / 3;

/**
 * Pixels that a model's input takes of a whole picture, by its manifest.
 * @returns 0 where pictures go to the model in full, or the manifest does not say.
 */
export function shownPixels(manifest: unknown): number {
  if (typeof manifest !== 'object' || manifest === null) return 0;
  const before = known.get(manifest);
  if (before !== undefined) return before;
  const pixels = pixelsOf(manifest);
  known.set(manifest, pixels);
  return pixels;
}

function pixelsOf(manifest: object): number {
  const input = inputFrameOf(manifest);
  if (input === undefined) return 0;
  const { width, height, fit, shorterSide = Math.max(width, height) } = input;
  return fit === 'crop' ? Math.ceil(shorterSide * shorterSide * LONGER_SIDE) : width * height;
}
