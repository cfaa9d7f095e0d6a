import { Failure } from '@meridian/failure';
import { type Area, tilesOf, wholeOf } from '@meridian/tiling';
import sharp, { type Sharp } from 'sharp';
import { type InputFrame, placementOf, type Size } from './geometry.ts';
import { PictureDecoder, type Pixels, SIDE_MAX } from './picture-decoder.ts';

/** How a picture is to be cut for a model. */
export interface CutOrder {
  readonly input: InputFrame;
  /** As `tilesOf` takes them; 1 asks for the whole picture alone, shrunk. */
  readonly tilesMax: number;
  readonly overlapShare: number;
  /** JPEG in place of PNG. */
  readonly lossy: boolean;
}

export interface CutPiece {
  readonly area: Area;
  /** A picture of its own, not larger than the model's input takes of it. */
  readonly bytes: Uint8Array;
}

export interface CutPicture {
  /** Pixels, upright. */
  readonly picture: Size;
  /** The tiles, then the whole picture. None when the model sees the picture in full as it is. */
  readonly pieces: readonly CutPiece[];
}

/** Of all pieces of a picture: the owner holds them until they are answered. */
export const PIECES_BYTES_MAX = 64 * 2 ** 20;
const LOSSY = { quality: 90, chromaSubsampling: '4:4:4' } as const;
/** Higher levels take several times longer for a few hundredths less. */
const LOSSLESS = { compressionLevel: 3, adaptiveFiltering: true } as const;

/**
 * Cuts hostile pictures into pieces that are sent to different workers.
 *
 * 1. A piece is scaled as the worker would scale it, and never enlarged: without `lossy`, the model sees the same pixels
 *    as if the worker had cut it out of the original.
 * 2. The picture is decoded at its full size once, and once more for the piece that shows all of it, as formats that can
 *    shrink while they are read give other pixels then; workers read them so.
 */
export class PictureCutter {
  readonly #decoder: PictureDecoder;

  /** @param options.timeoutMs for each decoding of the picture */
  constructor(options: { readonly timeoutMs: number }) {
    this.#decoder = new PictureDecoder(options);
  }

  /** @throws Failure as {@link PictureDecoder}; INVALID_ARGUMENT / PIECES_TOO_LARGE. Not retryable. */
  async cut(bytes: Uint8Array, order: CutOrder): Promise<CutPicture> {
    if (order.tilesMax === 1) return this.#shrink(bytes, order);
    const { picture, pixels } = await this.#decoder.whole(bytes, SIDE_MAX);
    const tiles = tilesOf({ picture, ...order });
    if (tiles.length === 0) return { picture, pieces: [] };
    const pieces: CutPiece[] = [];
    let total = 0;
    for (const area of [...tiles, wholeOf(picture)]) {
      const isWhole = area.width === picture.width && area.height === picture.height;
      const whole = isWhole ? await this.#shrunk(bytes, picture, order.input) : undefined;
      const encoded = await encode(isWhole ? rawOf(whole ?? pixels) : tile(pixels, area, order.input), order);
      total += encoded.length;
      if (total > PIECES_BYTES_MAX) throw tooLarge();
      pieces.push({ area, bytes: encoded });
    }
    return { picture, pieces };
  }

  /** None when the model's input takes all of the picture. */
  async #shrink(bytes: Uint8Array, order: CutOrder): Promise<CutPicture> {
    const picture = await this.#decoder.size(bytes);
    const pixels = await this.#shrunk(bytes, picture, order.input);
    if (pixels === undefined) return { picture, pieces: [] };
    return { picture, pieces: [{ area: wholeOf(picture), bytes: await encode(rawOf(pixels), order) }] };
  }

  async #shrunk(bytes: Uint8Array, picture: Size, input: InputFrame): Promise<Pixels | undefined> {
    const size = shownSize(picture, input);
    if (size === undefined) return undefined;
    const isInside = input.fit === 'letterbox';
    return this.#decoder.scaled(bytes, isInside ? input : size, isInside ? 'inside' : 'fill');
  }
}

function encode(pipeline: Sharp, { lossy }: CutOrder): Promise<Buffer> {
  return (lossy ? pipeline.jpeg(LOSSY) : pipeline.png(LOSSLESS)).toBuffer();
}

function tile(pixels: Pixels, area: Area, input: InputFrame): Sharp {
  const cut = rawOf(pixels).extract({ ...area });
  const size = shownSize(area, input);
  return size === undefined ? cut : cut.resize(size.width, size.height, { fit: 'fill' });
}

/** What the model's input takes of an area; undefined when that is not less than the area has. */
function shownSize(area: Size, input: InputFrame): Size | undefined {
  const { width, height } = placementOf(area, input);
  return width < area.width || height < area.height
    ? { width: Math.min(width, area.width), height: Math.min(height, area.height) }
    : undefined;
}

function rawOf({ data, width, height }: Pixels): Sharp {
  return sharp(data, { raw: { width, height, channels: 3 } });
}

function tooLarge(): Failure {
  const message = `the tiles take more than ${PIECES_BYTES_MAX} bytes: ask for fewer or for lossy ones`;
  return new Failure('INVALID_ARGUMENT', message, { reason: 'PIECES_TOO_LARGE' });
}
