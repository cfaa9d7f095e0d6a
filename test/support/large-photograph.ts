import sharp from 'sharp';

/** Of 255, each way: the grain of a small sensor, without which an enlarged photograph has few bytes. */
const GRAIN = 16;

/** A sample photograph as a camera with so many pixels a side would take it: a JPEG of about half a byte for each of them. */
export async function largePhotograph(sample: Buffer, side: number): Promise<Buffer> {
  const enlarged = sharp(sample).removeAlpha().toColourspace('srgb').resize(side, side, { fit: 'fill' });
  const pixels = await enlarged.raw().toBuffer();
  let random = 1;
  for (let at = 0; at < pixels.length; at++) {
    random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
    const value = (pixels[at] ?? 0) + (((random >>> 16) * (2 * GRAIN + 1)) >>> 16) - GRAIN;
    pixels[at] = Math.min(255, Math.max(0, value));
  }
  return sharp(pixels, { raw: { width: side, height: side, channels: 3 } })
    .jpeg({ quality: 97 })
    .toBuffer();
}
