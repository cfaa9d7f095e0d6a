import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { type CatalogueModel, ensureCatalogue } from '@meridian/models';
import { type Box, type LoadedModel, openModel, type RecognizedObject } from '@meridian/recognition';
import { systemClock } from '@meridian/runtime';
import sharp, { type Sharp } from 'sharp';
import { modelDirectory, photograph } from '../support/photographs.ts';

/**
 * Goal: the catalogue's models find in photographs what is in them, whatever the file's format, depth, colour space or
 * orientation. Method: the real models on Debian's sample photographs, re-encoded here.
 */
jest.setTimeout(60_000);

const opened = new Map<string, LoadedModel>();
let catalogue: CatalogueModel[];

beforeAll(async () => {
  catalogue = await ensureCatalogue({ directory: modelDirectory });
});

afterAll(async () => {
  for (const model of opened.values()) await model.close();
});

async function modelNamed(name: string): Promise<LoadedModel> {
  const known = opened.get(name);
  if (known !== undefined) return known;
  const entry = catalogue.find((each) => each.name === name);
  if (entry === undefined) throw new Error(`no model ${name}`);
  const paths = new Map(entry.blobs.map(({ digest, path }) => [digest, path]));
  const read = async (digest: string): Promise<string> => paths.get(digest) ?? '';
  const model = await openModel({ manifest: entry.manifest, read, clock: systemClock });
  opened.set(name, model);
  return model;
}

async function objectsIn(name: string, picture: Uint8Array): Promise<readonly RecognizedObject[]> {
  return (await (await modelNamed(name)).recognize(picture)).recognition.objects;
}

function overlap(a: Box, b: Box): number {
  const width = Math.min(a.x1, b.x1) - Math.max(a.x0, b.x0);
  const height = Math.min(a.y1, b.y1) - Math.max(a.y0, b.y0);
  const shared = Math.max(0, width) * Math.max(0, height);
  return shared / ((a.x1 - a.x0) * (a.y1 - a.y0) + (b.x1 - b.x0) * (b.y1 - b.y0) - shared);
}

describe('objects', () => {
  test.each([
    ['centernet-320', 'astronaut.png', 'person'],
    ['centernet-320', 'coffee.png', 'cup'],
    ['centernet-320', 'chelsea.png', 'cat'],
    ['centernet-320', 'motorcycle_left.png', 'motorcycle'],
    ['centernet-512', 'astronaut.png', 'person'],
    ['centernet-512', 'coffee.png', 'cup'],
    ['centernet-512', 'chelsea.png', 'cat'],
  ])('%s finds in %s: %s', async (model, file, label) => {
    const [best] = await objectsIn(model, await photograph(file));
    expect(best).toMatchObject({ label });
    expect(best?.score).toBeGreaterThan(0.4);
  });

  test.each<[string, (picture: Sharp) => Promise<Buffer>]>([
    ['JPEG', (picture) => picture.jpeg().toBuffer()],
    ['CMYK JPEG', (picture) => picture.toColourspace('cmyk').jpeg({ quality: 90 }).toBuffer()],
    ['16-bit PNG', (picture) => picture.toColourspace('rgb16').png().toBuffer()],
    ['grey JPEG', (picture) => picture.greyscale().jpeg({ quality: 90 }).toBuffer()],
    ['PNG with alpha', (picture) => picture.ensureAlpha(1).png().toBuffer()],
    ['WebP', (picture) => picture.webp({ quality: 90 }).toBuffer()],
  ])('are found in a %s', async (_, encode) => {
    const [best] = await objectsIn('centernet-320', await encode(sharp(await photograph('chelsea.png'))));
    expect(best).toMatchObject({ label: 'cat' });
  });

  test.each([
    [3, 180],
    [6, 270],
    [8, 90],
  ])('are where they are in the upright picture, EXIF orientation %i', async (orientation, turnedBy) => {
    const upright = await photograph('coffee.png');
    const turned = await sharp(upright).rotate(turnedBy).png().toBuffer();
    const picture = await sharp(turned).withMetadata({ orientation }).jpeg({ quality: 95 }).toBuffer();
    const model = await modelNamed('centernet-320');
    const { width, height, objects } = (await model.recognize(picture)).recognition;
    const [expected] = await objectsIn('centernet-320', upright);
    expect([width, height]).toEqual([600, 400]);
    expect(objects[0]).toMatchObject({ label: 'cup' });
    if (objects[0]?.box === undefined || expected?.box === undefined) throw new Error('a detector gives boxes');
    expect(overlap(objects[0].box, expected.box)).toBeGreaterThan(0.9);
  });

  test('have the same boxes whatever is decoded at the same time', async () => {
    const model = await modelNamed('centernet-320');
    const pictures = await Promise.all(['astronaut.png', 'coffee.png', 'chelsea.png'].map(photograph));
    const decoded = await Promise.all(pictures.map((picture) => model.decode(picture)));
    for (const [index, picture] of pictures.entries()) {
      const one = decoded[index];
      if (one === undefined) throw new Error('decoded');
      expect((await model.infer(one)).recognition).toEqual((await model.recognize(picture)).recognition);
    }
  });
});

describe('other models', () => {
  test('blazeface finds the face, with eyes above the mouth inside it', async () => {
    const [face, ...more] = await objectsIn('blazeface', await photograph('astronaut.png'));
    expect(more).toEqual([]);
    expect(face).toMatchObject({ label: 'face' });
    if (face?.box === undefined) throw new Error('a face has a box');
    expect(overlap(face.box, { x0: 0.34, y0: 0.14, x1: 0.54, y1: 0.35 })).toBeGreaterThan(0.8);
    const [rightEye, leftEye, , mouth] = face.keypoints ?? [];
    expect(face.keypoints).toHaveLength(6);
    expect(Math.max(rightEye?.y ?? 1, leftEye?.y ?? 1)).toBeLessThan(mouth?.y ?? 0);
    expect(rightEye?.x ?? 1).toBeLessThan(leftEye?.x ?? 0);
  });

  test('ppocr reads a photographed page line by line', async () => {
    const lines = await objectsIn('ppocr', await photograph('page.png'));
    const text = lines.map((line) => line.text?.replaceAll(' ', '')).join('\n');
    expect(text).toMatch(
      /^Region-basedsegmentation\nLetusfirstdeterminemarkersofthecoinsandthe\nbackground\.Thesemarkersarepixelsthatwecanlabel/,
    );
    expect(lines.every((line) => line.keypoints?.length === 4 && line.score >= 0.5)).toBe(true);
  });

  test('a photograph without text, and one without faces, give no objects', async () => {
    for (const file of ['coffee.png', 'chelsea.png'])
      expect(await objectsIn('ppocr', await photograph(file))).toEqual([]);
    expect(await objectsIn('blazeface', await photograph('coffee.png'))).toEqual([]);
  });

  test('a photograph that is cut off on purpose is refused', async () => {
    const model = await modelNamed('centernet-320');
    await expect(model.recognize(await photograph('truncated.jpg'))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'PICTURE_TRUNCATED',
    });
  });
});
