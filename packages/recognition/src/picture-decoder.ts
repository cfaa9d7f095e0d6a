import { detectFormat, formatRefusal, isAccepted } from '@meridian/contracts/picture-format';
import { assert, Failure } from '@meridian/failure';
import type { InputSpec } from '@meridian/models';
import sharp, { type Sharp } from 'sharp';
import { type Placement, placementOf, type Size } from './geometry.ts';

/**
 * Turns hostile bytes into pixels.
 *
 * 1. Nothing but JPEG, PNG and WebP reaches a decoder: told by the first bytes here, and all other loaders are blocked
 *    in the whole process.
 * 2. No picture of more than PIXELS_MAX is decoded; the header is read first.
 * 3. Pixels are upright (EXIF orientation applied), opaque (alpha over black), 8-bit sRGB or grey.
 * 4. A picture is decoded once, straight to the wanted size where the format can (shrink-on-load).
 */

/** The wire carries no larger picture; 16 MiB is a 25-megapixel JPEG of good quality. */
export const PICTURE_BYTES_MAX = 16 * 2 ** 20;
/** 5,000 × 5,000; a decoded one takes 75 MB. */
export const PIXELS_MAX = 25_000_000;
/** JPEG's own limit. A PNG may be one pixel wide and millions high, which costs seconds to scale. */
export const SIDE_MAX = 65_535;
/** The largest size that sharp scales to; only reached by cropping slivers. */
const SCALED_SIDE_MAX = 100_000_000;

/** Interleaved 8-bit channels, row by row. */
export interface Pixels extends Size {
  readonly data: Uint8Array;
  readonly channels: number;
}

/** Decoded pixels with the size of the picture that they come from: pixels, upright. */
export interface DecodedPixels {
  readonly pixels: Pixels;
  readonly picture: Size;
}

/** As a model's input wants it, and where the picture lies in the input. */
export interface FittedPixels extends DecodedPixels {
  readonly placement: Placement;
}

/**
 * Every method throws Failure INVALID_ARGUMENT with reason PICTURE_EMPTY, PICTURE_TOO_LARGE, PICTURE_FORMAT,
 * PICTURE_TRUNCATED or PICTURE_TOO_MANY_PIXELS, or DEADLINE_EXCEEDED / PICTURE_DECODE_TIMEOUT. None is retryable.
 */
export class PictureDecoder {
  private readonly timeoutSeconds: number;

  /** @param options.timeoutMs a picture that takes longer to decode is given up; whole seconds, at least one */
  constructor(options: { readonly timeoutMs: number }) {
    this.timeoutSeconds = Math.max(1, Math.ceil(options.timeoutMs / 1000));
    restrictSharp();
  }

  async fit(bytes: Uint8Array, input: InputSpec): Promise<FittedPixels> {
    requireAcceptable(bytes);
    if (input.fit === 'crop') return this.crop(bytes, input);
    const { width, height } = input;
    const resized = this.pipeline(bytes).resize(width, height, { fit: input.fit === 'letterbox' ? 'inside' : 'fill' });
    const { picture, pixels } = await withHeader(bytes, decode(resized, input.channels));
    const placement = { left: 0, top: 0, width: pixels.width, height: pixels.height };
    return { picture, placement, pixels: letterbox(pixels, input) };
  }

  /** The whole picture in RGB, shrunk so that its longer side is at most `sideMax`. */
  async whole(bytes: Uint8Array, sideMax: number): Promise<DecodedPixels> {
    requireAcceptable(bytes);
    const shrunk = this.pipeline(bytes).resize(sideMax, sideMax, { fit: 'inside', withoutEnlargement: true });
    return withHeader(bytes, decode(shrunk, 'RGB'));
  }

  /** Upright, by the header alone. */
  async size(bytes: Uint8Array): Promise<Size> {
    requireAcceptable(bytes);
    return readHeader(bytes);
  }

  /** The whole picture in RGB, inside of the size or stretched to it, as `fit` does it with a model's input. */
  async scaled(bytes: Uint8Array, { width, height }: Size, fit: 'inside' | 'fill'): Promise<Pixels> {
    requireAcceptable(bytes);
    return decode(this.pipeline(bytes).resize(width, height, { fit }), 'RGB');
  }

  /** Which part to take depends on the size, so here the header comes first. */
  private async crop(bytes: Uint8Array, input: InputSpec): Promise<FittedPixels> {
    const picture = await readHeader(bytes);
    const placement = placementOf(picture, input);
    if (Math.max(placement.width, placement.height) > SCALED_SIDE_MAX) throw tooLarge(picture);
    const resized = this.pipeline(bytes).resize(placement.width, placement.height, { fit: 'fill' });
    const { width, height } = input;
    const cut = resized.extract({ left: -placement.left, top: -placement.top, width, height });
    return { picture, placement, pixels: await decode(cut, input.channels) };
  }

  private pipeline(bytes: Uint8Array): Sharp {
    return sharp(bytes, { failOn: 'error', limitInputPixels: PIXELS_MAX })
      .timeout({ seconds: this.timeoutSeconds })
      .autoOrient()
      .flatten({ background: '#000' });
  }
}

/**
 * Header and pixels are read side by side: with one after the other the second step would wait for the calling
 * thread, which inference occupies, and decoding the next picture would not overlap it.
 */
async function withHeader(bytes: Uint8Array, decoding: Promise<Pixels>): Promise<DecodedPixels> {
  const [header, pixels] = await Promise.allSettled([readHeader(bytes), decoding]);
  // What the header says is wrong is the better message.
  if (header.status === 'rejected') throw header.reason;
  if (pixels.status === 'rejected') throw pixels.reason;
  return { picture: header.value, pixels: pixels.value };
}

/** A header decodes nothing, so its reader needs no limit; with ours the message can name the size. */
async function readHeader(bytes: Uint8Array): Promise<Size> {
  const header = sharp(bytes, { failOn: 'error', limitInputPixels: false }).metadata();
  const size = await header.then(
    ({ autoOrient }) => autoOrient,
    (thrown: unknown) => {
      throw damaged(thrown);
    },
  );
  requireSize(size);
  return size;
}

/** Already decoded RGB pixels at another size, letterboxed. */
export async function refit(pixels: Pixels, input: InputSpec): Promise<{ pixels: Pixels; placement: Placement }> {
  const placement = placementOf(pixels, input);
  const { width, height } = pixels;
  const raw = sharp(pixels.data, { raw: { width, height, channels: 3 } });
  const resized = raw.resize(placement.width, placement.height, { fit: 'fill' });
  return { pixels: letterbox(await decode(resized, 'RGB'), input), placement };
}

async function decode(pipeline: Sharp, order: InputSpec['channels']): Promise<Pixels> {
  const channels = order === 'GREY' ? 1 : 3;
  const { data, info } = await pipeline
    .toColourspace(order === 'GREY' ? 'b-w' : 'srgb')
    .raw()
    .toBuffer({ resolveWithObject: true })
    .catch((thrown: unknown) => {
      throw damaged(thrown);
    });
  assert(info.channels === channels, `decoded picture has ${channels} channels, found ${info.channels}`);
  return { data, width: info.width, height: info.height, channels };
}

/** Copies rows into a black canvas: a quarter cheaper than letting sharp extend the picture. */
function letterbox(pixels: Pixels, canvas: Size): Pixels {
  const { width, height } = canvas;
  if (pixels.width === width && pixels.height === height) return pixels;
  const { channels } = pixels;
  const data = new Uint8Array(width * height * channels);
  const rowBytes = pixels.width * channels;
  for (let row = 0; row < pixels.height; row += 1) {
    const start = row * rowBytes;
    data.set(pixels.data.subarray(start, start + rowBytes), row * width * channels);
  }
  return { data, width, height, channels };
}

function restrictSharp(): void {
  // One libvips thread for a picture: throughput comes from several pictures at once, and threads cost CPU.
  sharp.concurrency(1);
  sharp.cache(false);
  sharp.block({ operation: ['VipsForeignLoad'] });
  sharp.unblock({
    operation: ['VipsForeignLoadJpegBuffer', 'VipsForeignLoadPngBuffer', 'VipsForeignLoadWebpBuffer'],
  });
}

function requireAcceptable(bytes: Uint8Array): void {
  if (bytes.byteLength === 0) throw refusal('PICTURE_EMPTY', 'the picture is empty (0 bytes)');
  if (bytes.byteLength > PICTURE_BYTES_MAX) {
    const message = `the picture has ${bytes.byteLength} bytes; at most ${PICTURE_BYTES_MAX} (16 MiB) are accepted`;
    throw refusal('PICTURE_TOO_LARGE', message, { bytesMax: String(PICTURE_BYTES_MAX) });
  }
  const format = detectFormat(bytes);
  if (!isAccepted(format)) throw refusal('PICTURE_FORMAT', formatRefusal(format));
  // PNG alone has no limit of its own; its size is at a fixed place, so it is checked before decoding starts.
  if (format !== 'PNG' || bytes.byteLength < 24) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  requireSize({ width: view.getUint32(16), height: view.getUint32(20) });
}

function requireSize(size: Size): void {
  if (size.width * size.height > PIXELS_MAX || Math.max(size.width, size.height) > SIDE_MAX) throw tooLarge(size);
}

function tooLarge({ width, height }: Size): Failure {
  const limits = `${PIXELS_MAX} pixels and sides of ${SIDE_MAX}`;
  const message = `the picture has ${width} × ${height} pixels; at most ${limits} are accepted: scale or cut it first`;
  return refusal('PICTURE_TOO_MANY_PIXELS', message, { pixelsMax: String(PIXELS_MAX), sideMax: String(SIDE_MAX) });
}

/** The decoder's messages change between versions; only the time-out is told from damage by its text. */
function damaged(thrown: unknown): Failure {
  const text = thrown instanceof Error ? thrown.message : '';
  if (text.includes('timeout')) {
    const message = 'decoding the picture took too long; save it anew, not progressive or interlaced';
    return new Failure('DEADLINE_EXCEEDED', message, { reason: 'PICTURE_DECODE_TIMEOUT', cause: thrown });
  }
  const message = 'the picture is cut off or damaged: its header or pixel data cannot be read to the end';
  return new Failure('INVALID_ARGUMENT', message, { reason: 'PICTURE_TRUNCATED', cause: thrown });
}

function refusal(reason: string, message: string, details: Record<string, string> = {}): Failure {
  return new Failure('INVALID_ARGUMENT', message, { reason, details });
}
