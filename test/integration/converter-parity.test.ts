import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import {
  convertBlazeface,
  convertCenternet,
  convertGraph,
  type GraphModelFiles,
  PackageAssets,
} from '@meridian/models';
import sharp from 'sharp';
import { photograph } from '../support/photographs.ts';
import { greatestDifference, Reference, runOnnx } from '../support/tfjs.ts';

/**
 * Goal: a converted model computes what its source computes. Method: TF.js runs the source, ONNX Runtime the
 * conversion, on the same photographs; every value of the raw outputs is compared.
 */
const PHOTOGRAPHS = ['astronaut.png', 'coffee.png', 'chelsea.png'];
const HEADS = ['tower_0/keypoints', 'tower_0/wh'];
/** Scores are 0 … 1; boxes and extents pixels of the input. */
const HEAT_TOLERANCE = 1e-5;
const PIXEL_TOLERANCE = 1e-2;

/** TF.js needs five seconds of CPU for a picture of 512 × 512. */
jest.setTimeout(120_000);

let centernet: GraphModelFiles;
const reference = new Reference();
const pictures = new Map<string, Buffer>();

async function modelFiles(name: string): Promise<GraphModelFiles> {
  const assets = new PackageAssets();
  const json = await assets.read('@vladmandic/human', `${name}.json`);
  return { json: json.toString(), weights: await assets.read('@vladmandic/human', `${name}.bin`) };
}

async function pixels(file: string, size: number): Promise<Buffer> {
  const fitted = sharp(pictures.get(file)).resize(size, size, { fit: 'contain', position: 'left top' });
  return fitted.removeAlpha().toColourspace('srgb').raw().toBuffer();
}

beforeAll(async () => {
  centernet = await modelFiles('centernet');
  for (const file of PHOTOGRAPHS) pictures.set(file, await photograph(file));
});

afterAll(() => reference.close());

describe('centernet at 512', () => {
  test('heat map, extents and detections are those of TF.js', async () => {
    const converted = convertCenternet(centernet, { size: 512, heads: true });
    for (const file of PHOTOGRAPHS) {
      const data = await pixels(file, 512);
      const dims = [1, 512, 512, 3];
      const input = { name: 'tower_0/images', data: Float32Array.from(data), dims };
      const outputs = [...HEADS, 'tower_0/detections'];
      const expected = await reference.run({ files: centernet, input, outputs });
      const found = await runOnnx(converted, { name: 'images', data, dims }, [...HEADS, 'detections']);
      expect(differences(found, expected)).toEqual({ heat: true, extents: true });
      expect(rowDifference(found[2], expected[2])).toBeLessThanOrEqual(PIXEL_TOLERANCE);
    }
  });
});

describe('centernet at 320', () => {
  test('heat map and extents are those of the source with its fixed sizes changed', async () => {
    const files = withInputSize(centernet, 320);
    const converted = convertCenternet(centernet, { size: 320, heads: true });
    const data = await pixels('coffee.png', 320);
    const dims = [1, 320, 320, 3];
    const input = { name: 'tower_0/images', data: Float32Array.from(data), dims };
    const expected = await reference.run({ files, input, outputs: HEADS });
    const found = await runOnnx(converted, { name: 'images', data, dims }, HEADS);
    expect(differences(found, expected)).toEqual({ heat: true, extents: true });
  });

  test('a batch gives what its pictures give alone', async () => {
    const converted = convertCenternet(centernet, { size: 320 });
    const singles = await Promise.all(PHOTOGRAPHS.map((file) => pixels(file, 320)));
    const batch = { name: 'images', data: Buffer.concat(singles), dims: [singles.length, 320, 320, 3] };
    const [together] = await runOnnx(converted, batch, ['detections']);
    for (const [index, data] of singles.entries()) {
      const [alone] = await runOnnx(converted, { name: 'images', data, dims: [1, 320, 320, 3] }, ['detections']);
      expect(rowDifference(together?.subarray(index * 600, (index + 1) * 600), alone)).toBeLessThanOrEqual(1e-3);
    }
  });
});

describe('other models', () => {
  test('blazeface: boxes and logits are those of TF.js', async () => {
    const files = await modelFiles('blazeface');
    const data = await pixels('astronaut.png', 256);
    const dims = [1, 256, 256, 3];
    const input = { name: 'input', data: Float32Array.from(data, (level) => level / 127.5 - 1), dims };
    const outputs = ['Identity', 'Identity_1', 'Identity_2', 'Identity_3'];
    const [fine, coarse, fineBoxes, coarseBoxes] = await reference.run({ files, input, outputs });
    const onnxInput = { name: 'images', data, dims };
    const [scores, boxes] = await runOnnx(convertBlazeface(files), onnxInput, ['scores', 'boxes']);
    expect(greatestDifference(joined(scores), joined(fine, coarse))).toBeLessThanOrEqual(2e-3);
    expect(greatestDifference(joined(boxes), joined(fineBoxes, coarseBoxes))).toBeLessThanOrEqual(PIXEL_TOLERANCE);
  });

  test.each([
    ['faceres', 'input_1', 224, 3, ['gender_pred/Sigmoid', 'global_pooling/Mean', 'age_pred/Softmax']],
    ['emotion', 'input_1', 64, 1, ['Identity']],
  ])('%s, by the general converter', async (name, input, size, channels, outputs) => {
    const files = await modelFiles(name);
    const colour = await pixels('astronaut.png', size);
    const grey = channels === 1 ? colour.filter((_, index) => index % 3 === 0) : colour;
    const scale = channels === 1 ? 255 : 1;
    const data = Float32Array.from(grey, (level) => level / scale);
    const tensor = { name: input, data, dims: [1, size, size, channels] };
    const expected = await reference.run({ files, input: tensor, outputs });
    const found = await runOnnx(convertGraph(files, { inputs: [input], outputs }), tensor, outputs);
    for (const [index, output] of found.entries()) {
      expect(greatestDifference(output, joined(expected[index]))).toBeLessThanOrEqual(1e-4);
    }
  });
});

function differences(found: Float32Array[], expected: Float32Array[]): { heat: boolean; extents: boolean } {
  return {
    heat: greatestDifference(joined(found[0]), joined(expected[0])) <= HEAT_TOLERANCE,
    extents: greatestDifference(joined(found[1]), joined(expected[1])) <= PIXEL_TOLERANCE,
  };
}

/** Rows with a score that matters; weak ones of equal score may change places. */
function rowDifference(found: Float32Array | undefined, expected: Float32Array | undefined): number {
  const rows = joined(expected);
  let strong = 0;
  while (strong < 100 && (rows[strong * 6 + 4] ?? 0) > 0.1) strong += 1;
  if (strong === 0) return Number.POSITIVE_INFINITY;
  return greatestDifference(joined(found).subarray(0, strong * 6), rows.subarray(0, strong * 6));
}

function joined(...parts: (Float32Array | undefined)[]): Float32Array {
  return Float32Array.from(parts.flatMap((part) => Array.from(part ?? [])));
}

/** The source with its input size and the targets of its three resizes changed; TF.js takes no other size otherwise. */
function withInputSize(files: GraphModelFiles, size: number): GraphModelFiles {
  const json = files.json.replaceAll('"size":"512"', `"size":"${size}"`);
  const weights = new Uint8Array(files.weights);
  const view = new DataView(weights.buffer);
  let offset = 0;
  for (const { name, shape, quantization } of JSON.parse(json).weightsManifest[0].weights) {
    const elements = shape.reduce((product: number, length: number) => product * length, 1);
    if (/up_sampling2d(?:_\d)?\/mul$/.test(name)) {
      for (let i = 0; i < 2; i += 1) {
        const at = offset + 4 * i;
        view.setInt32(at, (view.getInt32(at, true) * size) / 512, true);
      }
    }
    offset += elements * (quantization === undefined ? 4 : 2);
  }
  return { json, weights };
}
