import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import sharp, { type OutputInfo } from 'sharp';

export interface Picture {
  readonly name: string;
  readonly bytes: Buffer;
  /** Lower-case hexadecimal sha256. */
  readonly digest: string;
}

/** Numbers from a seed: mulberry32. Written here so that the checker's material depends on nothing of the services. */
function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * `count` different JPEGs: crops (70 … 100 % of each side) and flips of real photographs, the same for the same seed.
 * `edgePixels` is the longer side; JPEGs that are not within `bytes` are left out.
 */
export async function variations(
  photographs: readonly string[],
  count: number,
  seed: number,
  edgePixels = 480,
  bytes: { readonly min: number; readonly max: number } = { min: 0, max: Number.MAX_SAFE_INTEGER },
): Promise<readonly Picture[]> {
  const next = numbers(seed);
  // Decoded once: a crop of the pixels is the same as one of the file, for a fraction of the time.
  const decoded = await Promise.all(photographs.map(pixelsOf));
  const pictures = new Map<string, Picture>();
  for (let made = 0; pictures.size < count; made++) {
    const file = photographs[made % photographs.length];
    const pixels = decoded[made % photographs.length];
    if (file === undefined || pixels === undefined) throw new RangeError('no photographs');
    if (made > 10 * count) throw new RangeError('the photographs give no JPEGs of the size that was asked for');
    const jpeg = await variation(pixels, next, edgePixels);
    if (jpeg.length < bytes.min || jpeg.length > bytes.max) continue;
    const digest = createHash('sha256').update(jpeg).digest('hex');
    pictures.set(digest, { name: `${made}-${file.slice(file.lastIndexOf('/') + 1)}`, bytes: jpeg, digest });
  }
  return [...pictures.values()];
}

interface Pixels {
  readonly data: Buffer;
  readonly info: OutputInfo;
}

async function pixelsOf(file: string): Promise<Pixels> {
  // From bytes: where the product's decoder runs in the same process, sharp opens no files.
  return sharp(await readFile(file))
    .flatten()
    .raw()
    .toBuffer({ resolveWithObject: true });
}

async function variation({ data, info }: Pixels, next: () => number, edgePixels: number): Promise<Buffer> {
  const { width, height, channels } = info;
  const part = { width: Math.round(width * (0.7 + 0.3 * next())), height: Math.round(height * (0.7 + 0.3 * next())) };
  const left = Math.floor((width - part.width) * next());
  const top = Math.floor((height - part.height) * next());
  const cropped = sharp(data, { raw: { width, height, channels } }).extract({ left, top, ...part });
  if (next() < 0.5) cropped.flop();
  return cropped
    .resize(edgePixels, edgePixels, { fit: 'inside' })
    .jpeg({ quality: 70 + Math.floor(20 * next()) })
    .toBuffer();
}
