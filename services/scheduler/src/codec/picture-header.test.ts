import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import sharp from 'sharp';
import { headerSize } from './picture-header.ts';

const SIZE = { width: 203, height: 101 };
const blank = () => sharp({ create: { ...SIZE, channels: 3, background: '#4080c0' } });
const clear = () => sharp({ create: { ...SIZE, channels: 4, background: '#4080c080' } });

test.each([
  ['JPEG', () => blank().jpeg()],
  ['progressive JPEG', () => blank().jpeg({ progressive: true })],
  [
    'JPEG with a colour profile and an orientation',
    () => blank().withIccProfile('p3').withMetadata({ orientation: 6 }).jpeg(),
  ],
  ['PNG', () => blank().png()],
  ['WebP', () => blank().webp()],
  ['lossless WebP', () => blank().webp({ lossless: true })],
  ['WebP with alpha', () => clear().webp()],
])('%s as a decoder writes it', async (_, pipeline) => {
  const bytes = await pipeline().toBuffer();
  expect(headerSize(bytes)).toEqual(SIZE);
  // Only the header is needed, and where it is cut off nothing is known.
  for (let end = 0; end < Math.min(bytes.length, 64); end++)
    expect([undefined, SIZE]).toContainEqual(headerSize(bytes.subarray(0, end)));
  // A part of a larger buffer.
  expect(headerSize(Buffer.concat([Buffer.alloc(7), bytes]).subarray(7))).toEqual(SIZE);
});

test('of any bytes it says nothing or a size, and reads little of what is made to be long', () => {
  const start = fc.constantFrom(
    [0xff, 0xd8, 0xff],
    [...Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')],
    [...Buffer.from('RIFF1234WEBPVP8')],
  );
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 200 }), (head, rest) => {
      const size = headerSize(Uint8Array.from([...head, ...rest]));
      if (size === undefined) return;
      expect(size.width * size.height).toBeGreaterThan(0);
      expect(size.width * size.height).toBeLessThanOrEqual(25_000_000);
    }),
    { numRuns: 2_000 },
  );
  // Segments of two bytes, each followed by the next, and the size after a million of them.
  const long = Buffer.alloc(4 * 2 ** 20);
  for (let at = 2; at + 4 <= long.length; at += 4) long.writeUInt32BE(0xffe00002, at);
  long.writeUInt16BE(0xffd8, 0);
  long.set([0xff, 0xc0, 0, 11, 8, 0, 9, 0, 9], long.length - 12);
  expect(headerSize(long)).toBeUndefined();
});
