import { writeFile } from 'node:fs/promises';
import type { Recognition } from '@meridian/contracts/recognition';
import sharp from 'sharp';
import { fileFailure } from './file-failure.ts';
import { annotationSvg } from './format/annotation.ts';

/** Writes the picture with boxes and labels drawn on it, as JPEG. @throws Failure naming the path; what sharp says. */
export async function writeAnnotated(picture: Uint8Array, recognition: Recognition, path: string): Promise<void> {
  // Boxes are fractions of the upright picture, so EXIF rotation comes first, in a pass of its own.
  const upright = await sharp(picture).autoOrient().png({ compressionLevel: 0 }).toBuffer({ resolveWithObject: true });
  const { width, height } = upright.info;
  const overlay = Buffer.from(annotationSvg({ ...recognition, width, height }));
  const jpeg = await sharp(upright.data)
    .flatten({ background: '#fff' })
    .composite([{ input: overlay }])
    .jpeg({ quality: 90 })
    .toBuffer();
  await writeFile(path, jpeg).catch((cause) => {
    throw fileFailure('write', path, cause);
  });
}
