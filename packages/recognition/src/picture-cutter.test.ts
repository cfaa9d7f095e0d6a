import { describe, expect, test } from '@jest/globals';
import { inputSchema } from '@meridian/models';
import sharp from 'sharp';
import { type CutOrder, PictureCutter } from './picture-cutter.ts';
import { PictureDecoder } from './picture-decoder.ts';

const input = inputSchema.parse({ name: 'x', width: 64, height: 64, fit: 'letterbox', layout: 'NHWC', type: 'uint8' });
const order: CutOrder = { input, tilesMax: 20, overlapShare: 0.25, lossy: false };
const cutter = new PictureCutter({ timeoutMs: 5000 });
const decoder = new PictureDecoder({ timeoutMs: 5000 });
const WIDTH = 208;
const HEIGHT = 160;

/** Smooth enough to survive JPEG, and nowhere the same. */
const pixels = Buffer.from(
  Array.from({ length: WIDTH * HEIGHT * 3 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % WIDTH, Math.floor(i / 3 / WIDTH)];
    return i % 3 === 0 ? x : i % 3 === 1 ? y : 128 + 100 * Math.sin((x + 2 * y) / 20);
  }),
);
const scene = () => sharp(pixels, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } });
const rawOf = (bytes: Uint8Array) => sharp(bytes).raw().toBuffer();

describe('pieces', () => {
  test('are the pixels of the picture where a tile is as large as the input, and the whole as the model would see it', async () => {
    const jpeg = await scene().jpeg({ quality: 95 }).toBuffer();
    const { picture, pieces } = await cutter.cut(jpeg, order);
    expect(picture).toEqual({ width: WIDTH, height: HEIGHT });
    expect(pieces).toHaveLength(13);
    for (const { area, bytes } of pieces.slice(0, -1)) {
      expect([area.width, area.height]).toEqual([64, 64]);
      expect(
        (await rawOf(bytes)).equals(
          await sharp(jpeg)
            .extract({ ...area })
            .raw()
            .toBuffer(),
        ),
      ).toBe(true);
    }
    const whole = pieces.at(-1);
    expect(whole?.area).toEqual({ left: 0, top: 0, width: WIDTH, height: HEIGHT });
    const seen = await decoder.fit(whole?.bytes ?? new Uint8Array(), input);
    const untiled = await decoder.fit(jpeg, input);
    expect(Buffer.from(seen.pixels.data).equals(Buffer.from(untiled.pixels.data))).toBe(true);
    expect(seen.placement).toEqual(untiled.placement);
  });

  test('are shrunk to the input where few tiles have to be large, and never enlarged', async () => {
    const { pieces } = await cutter.cut(await scene().png().toBuffer(), { ...order, tilesMax: 2 });
    const sizes = await Promise.all(pieces.map(async ({ bytes }) => sharp(bytes).metadata()));
    expect(pieces.map(({ area }) => area.width)).toEqual([160, 160, WIDTH]);
    expect(sizes.map(({ width, height, format }) => [width, height, format])).toEqual([
      [64, 64, 'png'],
      [64, 64, 'png'],
      [64, 49, 'png'],
    ]);
    const wide = { ...order, input: { ...input, width: 128, height: 256 } };
    const uncut = await cutter.cut(await scene().png().toBuffer(), wide);
    const last = await sharp(uncut.pieces[0]?.bytes).metadata();
    expect([last.width, last.height]).toEqual([128, 160]);
  });

  test('are cut from the upright picture', async () => {
    const turned = await scene().rotate(-90).withMetadata({ orientation: 6 }).png().toBuffer();
    const { picture, pieces } = await cutter.cut(turned, order);
    expect(picture).toEqual({ width: WIDTH, height: HEIGHT });
    const { area, bytes } = pieces[5] ?? pieces[0] ?? { area: undefined, bytes: new Uint8Array() };
    expect(
      (await rawOf(bytes)).equals(
        await scene()
          .extract(area as never)
          .raw()
          .toBuffer(),
      ),
    ).toBe(true);
  });

  test('are JPEG, and smaller, where that is allowed', async () => {
    const noise = Buffer.from(pixels.map((value, i) => value ^ ((Math.imul(i, i ^ 0x9e3779b1) >>> 13) & 63)));
    const png = await sharp(noise, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } })
      .png()
      .toBuffer();
    const lossy = await cutter.cut(png, { ...order, lossy: true });
    const lossless = await cutter.cut(png, order);
    const bytesOf = ({ pieces }: typeof lossy) => pieces.reduce((sum, { bytes }) => sum + bytes.length, 0);
    expect((await sharp(lossy.pieces[0]?.bytes).metadata()).format).toBe('jpeg');
    expect(bytesOf(lossy)).toBeLessThan(bytesOf(lossless));
  });

  test.each(['letterbox', 'stretch', 'crop'] as const)(
    'of %s: the whole alone, shrunk, shows the same',
    async (fit) => {
      const jpeg = await scene().jpeg({ quality: 95 }).toBuffer();
      const frame = { ...input, fit, ...(fit === 'crop' && { width: 48, height: 48, shorterSide: 64 }) };
      const { picture, pieces } = await cutter.cut(jpeg, { ...order, input: frame, tilesMax: 1 });
      expect(picture).toEqual({ width: WIDTH, height: HEIGHT });
      expect(pieces).toHaveLength(1);
      const seen = await decoder.fit(pieces[0]?.bytes ?? new Uint8Array(), frame);
      const original = await decoder.fit(jpeg, frame);
      expect(Buffer.from(seen.pixels.data).equals(Buffer.from(original.pixels.data))).toBe(true);
    },
  );

  test('do not exist of a picture that the model sees in full', async () => {
    const small = await scene().resize(60, 40).jpeg().toBuffer();
    expect(await cutter.cut(small, order)).toEqual({ picture: { width: 60, height: 40 }, pieces: [] });
  });
});

test.each([
  ['PICTURE_FORMAT', Buffer.from('<svg/>')],
  ['PICTURE_EMPTY', Buffer.alloc(0)],
])('%s: what the decoder refuses is refused', async (reason, bytes) => {
  await expect(cutter.cut(bytes, order)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', reason });
});

test('a picture that is cut off is refused', async () => {
  const png = await scene().png().toBuffer();
  const broken = cutter.cut(png.subarray(0, png.length / 2), order);
  await expect(broken).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'PICTURE_TRUNCATED' });
});
