import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { convertBlazeface, convertGraph, type Manifest, PackageAssets, parseManifest } from '@meridian/models';
import sharp from 'sharp';
import { openModel } from './open-model.ts';

/** Real graphs: BlazeFace as a detector, the package's emotion network as a classifier. */
let faces: Uint8Array;
let emotion: Uint8Array;
let directory: string;
let picture: Buffer;
/** Every reading is one later, so durations show how often the clock was read. */
let now = 0;
const clock = {
  monotonicMs: () => {
    now += 1;
    return now;
  },
};

beforeAll(async () => {
  const assets = new PackageAssets();
  const files = async (name: string) => ({
    json: (await assets.read('@vladmandic/human', `${name}.json`)).toString(),
    weights: await assets.read('@vladmandic/human', `${name}.bin`),
  });
  faces = convertBlazeface(await files('blazeface'));
  emotion = convertGraph(await files('emotion'), { inputs: ['input_1'], outputs: ['Identity'] });
  directory = await mkdtemp(join(tmpdir(), 'open-model-'));
  picture = await sharp({ create: { width: 90, height: 60, channels: 3, background: '#a87' } })
    .jpeg()
    .toBuffer();
});

afterAll(() => rm(directory, { recursive: true }));

const image = { name: 'images', width: 256, height: 256, fit: 'letterbox', layout: 'NHWC', type: 'uint8' };
const faceDecoder = { kind: 'blazeface', boxes: 'boxes', scores: 'scores' };

function manifestOf(weights: Uint8Array, input: object, decoder: object, labels: string[] = ['face']): Manifest {
  const digest = `sha256:${createHash('sha256').update(weights).digest('hex')}`;
  const part = { file: 'model.onnx', digest, bytes: weights.byteLength, input };
  const task = 'detection';
  return parseManifest({ name: 'test', licence: 'x', source: 'x', task, parts: { model: part }, decoder, labels });
}

function open(manifest: Manifest, weights: Uint8Array | string) {
  return openModel({ manifest, read: async () => weights, clock });
}

describe('openModel', () => {
  test('runs from bytes and from a file; decoding and inference can be called apart', async () => {
    const path = join(directory, 'faces.onnx');
    await writeFile(path, faces);
    for (const weights of [faces, path]) {
      const model = await open(manifestOf(faces, image, faceDecoder), weights);
      const decoded = await model.decode(picture);
      expect(decoded).toMatchObject({ width: 90, height: 60, decodeMs: 1 });
      const inferred = await model.infer(decoded);
      expect(inferred).toEqual({ recognition: { width: 90, height: 60, objects: [] }, inferenceMs: 1 });
      expect(await model.recognize(picture)).toEqual({ ...inferred, decodeMs: 1 });
      await model.close();
    }
  });

  test('a classifier with a grey float32 input has scores that add up to one, and no boxes', async () => {
    const input = {
      ...image,
      name: 'input_1',
      width: 64,
      height: 64,
      type: 'float32',
      channels: 'GREY',
      scale: 1 / 255,
    };
    const decoder = { kind: 'classifier', output: 'Identity', activation: 'none', topK: 10, scoreThreshold: 0 };
    const labels = ['angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral'];
    const model = await open(manifestOf(emotion, input, decoder, labels), emotion);
    const { objects } = (await model.recognize(picture)).recognition;
    expect(objects).toHaveLength(7);
    expect(objects.reduce((sum, { score }) => sum + score, 0)).toBeCloseTo(1, 5);
    expect(objects.every((object) => object.box === undefined)).toBe(true);
    await model.close();
  });

  test('a call that is cancelled before it starts does nothing', async () => {
    const model = await open(manifestOf(faces, image, faceDecoder), faces);
    const cancelled = { signal: AbortSignal.abort() };
    await expect(model.recognize(picture, cancelled)).rejects.toMatchObject({ code: 'CANCELLED' });
    await expect(model.infer(await model.decode(picture), cancelled)).rejects.toMatchObject({ code: 'CANCELLED' });
    await model.close();
  });
});

describe('openModel refuses', () => {
  test('weights with another digest, from bytes and from a file', async () => {
    const manifest = manifestOf(faces, image, faceDecoder);
    const path = join(directory, 'other.onnx');
    await writeFile(path, emotion);
    for (const weights of [emotion, path]) {
      const expected = { code: 'DATA_LOSS', reason: 'MODEL_DIGEST_MISMATCH', retryable: false };
      await expect(open(manifest, weights)).rejects.toMatchObject(expected);
    }
  });

  test('what is no ONNX graph', async () => {
    const text = Buffer.from('not a model');
    const expected = { code: 'INVALID_ARGUMENT', reason: 'MODEL_INVALID' };
    await expect(open(manifestOf(text, image, faceDecoder), text)).rejects.toMatchObject(expected);
  });

  test.each<[string, object, object, RegExp]>([
    ['another input', { ...image, name: 'pixels' }, faceDecoder, /names input pixels, the model has images/],
    ['another output', image, { ...faceDecoder, boxes: 'b' }, /names output b, the model has scores, boxes/],
    ['another input size', { ...image, width: 224 }, faceDecoder, /invalid dimensions/i],
    ['another element type', { ...image, type: 'float32' }, faceDecoder, /the model failed/],
    ['a decoder for other outputs', image, { kind: 'rows', output: 'scores' }, /6 columns or more/],
  ])('a manifest with %s', async (_, input, decoder, message) => {
    const opened = open(manifestOf(faces, input, decoder), faces);
    await expect(opened).rejects.toThrow(message);
    await expect(opened).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'MODEL_MANIFEST_MISMATCH' });
  });

  test.each<[string, object]>([
    ['scaled bytes', { ...image, scale: 0.5 }],
    ['a deviation of zero', { ...image, type: 'float32', std: [1, 0, 1] }],
    ['a crop larger than what it is cut from', { ...image, fit: 'crop', shorterSide: 200 }],
  ])('%s in a manifest', async (_, input) => {
    const expected = { code: 'INVALID_ARGUMENT', reason: 'MANIFEST_INVALID' };
    await expect(open(manifestOf(faces, input, faceDecoder), faces)).rejects.toMatchObject(expected);
  });
});
