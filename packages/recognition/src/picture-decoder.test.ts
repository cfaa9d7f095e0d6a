import { describe, expect, test } from '@jest/globals';
import { Failure } from '@meridian/failure';
import { inputSchema } from '@meridian/models';
import sharp, { type Sharp } from 'sharp';
import { PICTURE_BYTES_MAX, PictureDecoder } from './picture-decoder.ts';

/** Four quarters: red, green above blue, white; 64 × 32, so that a turned picture shows in its size too. */
const WIDTH = 64;
const HEIGHT = 32;
const QUARTERS = { red: [255, 0, 0], green: [0, 255, 0], blue: [0, 0, 255], white: [255, 255, 255] } as const;
const decoder = new PictureDecoder({ timeoutMs: 5000 });
const input = inputSchema.parse({
  name: 'x',
  width: 32,
  height: 32,
  fit: 'letterbox',
  layout: 'NHWC',
  type: 'uint8',
});

function scene(): Sharp {
  const { red, green, blue, white } = QUARTERS;
  const data = Buffer.alloc(WIDTH * HEIGHT * 3);
  for (let y = 0; y < HEIGHT; y += 1) {
    for (let x = 0; x < WIDTH; x += 1) {
      const [upper, lower] = x < WIDTH / 2 ? [red, blue] : [green, white];
      data.set(y < HEIGHT / 2 ? upper : lower, (y * WIDTH + x) * 3);
    }
  }
  return sharp(data, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } });
}

/** The colours at the centres of the four quarters: upper left, upper right, lower left, lower right. */
async function quartersOf(picture: Buffer): Promise<number[][]> {
  const { pixels } = await decoder.whole(picture, 4096);
  const at = (x: number, y: number): number[] => {
    const start = (Math.floor(y * pixels.height) * pixels.width + Math.floor(x * pixels.width)) * 3;
    return Array.from(pixels.data.subarray(start, start + 3));
  };
  return [at(0.25, 0.25), at(0.75, 0.25), at(0.25, 0.75), at(0.75, 0.75)];
}

function near(found: readonly number[][], expected: readonly (readonly number[])[], tolerance: number): boolean {
  return found.every((colour, i) =>
    colour.every((level, c) => Math.abs(level - (expected[i]?.[c] ?? -1)) <= tolerance),
  );
}

const { red, green, blue, white } = QUARTERS;
const upright = [red, green, blue, white];

async function failureOf(picture: Uint8Array): Promise<Failure> {
  return decoder.fit(picture, input).then(
    () => {
      throw new Error('the picture was decoded');
    },
    (thrown: unknown) => Failure.from(thrown),
  );
}

describe('what is decoded', () => {
  test.each<[string, (picture: Sharp) => Promise<Buffer>, number]>([
    ['JPEG', (picture) => picture.jpeg({ quality: 95 }).toBuffer(), 8],
    ['progressive JPEG', (picture) => picture.jpeg({ quality: 95, progressive: true }).toBuffer(), 8],
    ['PNG', (picture) => picture.png().toBuffer(), 0],
    ['interlaced palette PNG', (picture) => picture.png({ palette: true, progressive: true }).toBuffer(), 8],
    ['16-bit PNG', (picture) => picture.toColourspace('rgb16').png().toBuffer(), 1],
    ['PNG with alpha', (picture) => picture.ensureAlpha(1).png().toBuffer(), 0],
    ['WebP', (picture) => picture.webp({ quality: 95 }).toBuffer(), 24],
    ['lossless WebP', (picture) => picture.webp({ lossless: true }).toBuffer(), 0],
  ])('%s', async (_, encode, tolerance) => {
    const found = await quartersOf(await encode(scene()));
    expect({ found, near: near(found, upright, tolerance) }).toEqual({ found, near: true });
  });

  test('a CMYK JPEG has its colours back, as far as inks allow', async () => {
    const [first, second, third, fourth] = await quartersOf(await scene().toColourspace('cmyk').jpeg().toBuffer());
    const strongest = (colour: number[] = []): number => colour.indexOf(Math.max(...colour));
    expect([strongest(first), strongest(second), strongest(third)]).toEqual([0, 1, 2]);
    expect(Math.min(...(fourth ?? []))).toBeGreaterThan(240);
  });

  test('a grey picture has three equal channels', async () => {
    for (const picture of [await scene().greyscale().jpeg().toBuffer(), await scene().greyscale().png().toBuffer()]) {
      for (const [r, g, b] of await quartersOf(picture)) expect([g, b]).toEqual([r, r]);
    }
  });

  test('what is transparent is black', async () => {
    const picture = await scene().removeAlpha().ensureAlpha(0).png().toBuffer();
    expect(await quartersOf(picture)).toEqual([1, 2, 3, 4].map(() => [0, 0, 0]));
  });

  test.each<[number, (picture: Sharp) => Sharp]>([
    [2, (picture) => picture.flop()],
    [3, (picture) => picture.rotate(180)],
    [4, (picture) => picture.flip()],
    [6, (picture) => picture.rotate(270)],
    [8, (picture) => picture.rotate(90)],
  ])('EXIF orientation %i is applied, and the size is the upright one', async (orientation, turn) => {
    for (const encode of ['jpeg', 'png', 'webp'] as const) {
      const stored = await turn(scene()).png().toBuffer();
      const picture = await sharp(stored).withMetadata({ orientation })[encode]({ quality: 95 }).toBuffer();
      const found = await quartersOf(picture);
      expect({ encode, found, near: near(found, upright, 24) }).toEqual({ encode, found, near: true });
      const fitted = await decoder.fit(picture, input);
      expect(fitted.picture).toEqual({ width: WIDTH, height: HEIGHT });
      expect(fitted.placement).toEqual({ left: 0, top: 0, width: 32, height: 16 });
    }
  });
});

describe('fit', () => {
  test('letterbox puts the picture at the upper left, on black', async () => {
    const { pixels } = await decoder.fit(await scene().png().toBuffer(), input);
    expect([pixels.width, pixels.height, pixels.data.length]).toEqual([32, 32, 32 * 32 * 3]);
    const pixel = (x: number, y: number): number[] => Array.from(pixels.data.subarray((y * 32 + x) * 3).subarray(0, 3));
    expect([pixel(4, 4), pixel(28, 12), pixel(4, 17), pixel(31, 31)]).toEqual([red, white, [0, 0, 0], [0, 0, 0]]);
  });

  test('crop takes the centre of the resized picture', async () => {
    const crop = { ...input, fit: 'crop' as const, shorterSide: 40 };
    const { pixels, placement } = await decoder.fit(await scene().png().toBuffer(), crop);
    expect(placement).toEqual({ left: -24, top: -4, width: 80, height: 40 });
    expect([pixels.width, pixels.height]).toEqual([32, 32]);
    expect(Array.from(pixels.data.subarray(0, 3))).toEqual([...red]);
    expect(Array.from(pixels.data.subarray(-3))).toEqual([...white]);
  });

  test('stretch fills, grey has one channel', async () => {
    const grey = { ...input, fit: 'stretch' as const, channels: 'GREY' as const };
    const { pixels } = await decoder.fit(await scene().png().toBuffer(), grey);
    expect(pixels).toMatchObject({ width: 32, height: 32, channels: 1 });
    expect(pixels.data).toHaveLength(32 * 32);
    expect(pixels.data.at(-1)).toBe(255);
  });

  test('a picture of one pixel, and one of a single row', async () => {
    const pixel = await sharp({ create: { width: 1, height: 1, channels: 3, background: '#fff' } })
      .png()
      .toBuffer();
    const row = await sharp({ create: { width: 5000, height: 1, channels: 3, background: '#fff' } })
      .png()
      .toBuffer();
    expect((await decoder.fit(pixel, input)).placement).toMatchObject({ width: 32, height: 32 });
    expect((await decoder.fit(row, input)).placement).toMatchObject({ width: 32, height: 1 });
    expect((await decoder.fit(row, { ...input, fit: 'crop', shorterSide: 40 })).pixels.data).toHaveLength(32 * 32 * 3);
  });
});

describe('what is refused', () => {
  test('nothing, and too much', async () => {
    expect(await failureOf(new Uint8Array())).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'PICTURE_EMPTY' });
    const jpeg = await scene().jpeg().toBuffer();
    const padded = Buffer.concat([jpeg, Buffer.alloc(PICTURE_BYTES_MAX)]);
    expect(await failureOf(padded)).toMatchObject({ reason: 'PICTURE_TOO_LARGE', retryable: false });
  });

  test.each<[string, () => Promise<Uint8Array>]>([
    ['GIF', () => scene().gif().toBuffer()],
    ['TIFF', () => scene().tiff().toBuffer()],
    ['AVIF', () => scene().avif({ effort: 0 }).toBuffer()],
    ['SVG', async () => Buffer.from('<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>')],
    ['PDF', async () => Buffer.from('%PDF-1.7 and so on')],
    ['BMP', async () => Buffer.from('BM and so on')],
  ])('%s, by its name', async (name, make) => {
    const failure = await failureOf(await make());
    expect(failure).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'PICTURE_FORMAT' });
    expect(failure.message).toMatch(new RegExp(`^the picture is ${name}; JPEG, PNG, WebP are accepted`));
  });

  test('bytes of no format, and a RIFF file that is no WebP', async () => {
    for (const text of ['this is no picture', 'RIFF....WAVEfmt ', 'PNG', '\xff\xd8']) {
      const failure = await failureOf(Buffer.from(text, 'latin1'));
      expect(failure).toMatchObject({ reason: 'PICTURE_FORMAT' });
      expect(failure.message).toContain('no known picture format');
    }
  });

  test.each(['jpeg', 'png', 'webp'] as const)('%s files that end early, wherever', async (format) => {
    const noise = { width: 96, height: 96, channels: 3 as const, background: '#000' };
    const picture = await sharp({ create: { ...noise, noise: { type: 'gaussian', mean: 128, sigma: 50 } } })
      [format]({ quality: 90 })
      .toBuffer();
    for (const part of [0.01, 0.1, 0.5, 0.9]) {
      const cut = picture.subarray(0, Math.max(20, Math.floor(picture.length * part)));
      expect({ part, reason: (await failureOf(cut)).reason }).toEqual({ part, reason: 'PICTURE_TRUNCATED' });
    }
  });

  test('more than 25 million pixels, with the size in the message', async () => {
    const large = sharp({ create: { width: 5001, height: 5000, channels: 3, background: '#345' } });
    for (const picture of [await large.png().toBuffer(), await large.jpeg().toBuffer()]) {
      const failure = await failureOf(picture);
      expect(failure).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'PICTURE_TOO_MANY_PIXELS' });
      expect(failure.message).toContain('5001 × 5000');
    }
  });

  test('a side of more than 65,535, before anything is decoded', async () => {
    const sliver = sharp({ create: { width: 1, height: 70_000, channels: 3, background: '#345' } });
    expect(await failureOf(await sliver.png().toBuffer())).toMatchObject({ reason: 'PICTURE_TOO_MANY_PIXELS' });
  });

  test('other formats at the library too: their loaders are blocked in the process', async () => {
    await expect(sharp(await scene().gif().toBuffer()).metadata()).rejects.toThrow(/unsupported image format/);
  });
});
