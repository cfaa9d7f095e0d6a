import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { RecognitionSchema } from '@meridian/contracts/recognition';
import sharp from 'sharp';
import { writeAnnotated } from '../annotated-picture.ts';
import { annotationSvg } from './annotation.ts';

// The product's decoder, when another test loaded it into this process, has switched these off for all.
beforeAll(() => sharp.unblock({ operation: ['VipsForeignLoadSvgBuffer', 'VipsForeignLoadJpegFile'] }));

const box = { x0: 0.25, y0: 0.25, x1: 0.75, y1: 0.75 };

describe('annotationSvg', () => {
  test('draws boxes in pixels, and text as text whatever it holds', () => {
    const svg = annotationSvg(
      create(RecognitionSchema, {
        width: 200,
        height: 100,
        objects: [{ label: '<script>&"', score: 0.5, box, text: '\u0000x', keypoints: [{ x: 0.5, y: 0.5 }] }],
      }),
    );
    expect(svg).toContain('<rect x="50.0" y="25.0" width="100.0" height="50.0"');
    expect(svg).toContain('<circle cx="100.0" cy="50.0"');
    expect(svg).toContain('&lt;script&gt;&amp;&quot; “x” 50 %');
    expect(svg).not.toContain('<script');
  });

  test('the labels of a classifier stand below each other', () => {
    const objects = [{ label: 'a' }, { label: 'b' }];
    const ys = [
      ...annotationSvg(create(RecognitionSchema, { width: 100, height: 100, objects })).matchAll(
        /<text x="[\d.]+" y="([\d.]+)"/g,
      ),
    ];
    expect(Number(ys[1]?.[1])).toBeGreaterThan(Number(ys[0]?.[1]));
  });
});

test('the annotated picture is upright and has the frame where the box is', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'meridian-annotate-'));
  try {
    const grey = sharp({ create: { width: 100, height: 200, channels: 3, background: '#808080' } });
    // Orientation 6: to be turned by 90°, so that upright it is 200 × 100.
    const picture = await grey.withMetadata({ orientation: 6 }).jpeg().toBuffer();
    const recognition = create(RecognitionSchema, { width: 200, height: 100, objects: [{ label: 'x', box }] });
    const path = join(directory, 'out.jpg');
    await writeAnnotated(picture, recognition, path);
    const { data, info } = await sharp(path).raw().toBuffer({ resolveWithObject: true });
    expect([info.width, info.height]).toEqual([200, 100]);
    const channels = (x: number, y: number) => [...data.subarray((y * 200 + x) * 3, (y * 200 + x) * 3 + 3)];
    const isGrey = ([r, g, b]: number[]) => Math.abs((r ?? 0) - (g ?? 0)) < 20 && Math.abs((g ?? 0) - (b ?? 0)) < 20;
    expect(isGrey(channels(100, 75))).toBe(false);
    expect(isGrey(channels(20, 90))).toBe(true);
  } finally {
    await rm(directory, { recursive: true });
  }
});
