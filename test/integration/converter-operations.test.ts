import { afterAll, describe, expect, test } from '@jest/globals';
import { convertGraph, type GraphModelFiles } from '@meridian/models';
import { greatestDifference, Reference, runOnnx } from '../support/tfjs.ts';

/**
 * Goal: each operation of the converter, with the variants that the catalogue's models do not use. Method: graphs of a
 * few nodes with pseudo-random weights, run by TF.js and by ONNX Runtime.
 */
const reference = new Reference();
afterAll(() => reference.close());

type Attribute = object;
interface Node {
  readonly op: string;
  readonly input: readonly string[];
  readonly attr?: Readonly<Record<string, Attribute>>;
}
type Constant = { readonly shape: readonly number[]; readonly integers?: readonly number[]; readonly levels?: true };

const text = (value: string): Attribute => ({ s: Buffer.from(value).toString('base64') });
const texts = (...values: string[]): Attribute => ({
  list: { s: values.map((value) => Buffer.from(value).toString('base64')) },
});
const integers = (...values: number[]): Attribute => ({ list: { i: values.map(String) } });
const yes: Attribute = { b: true };
const floats: Attribute = { type: 'DT_FLOAT' };
const window = (padding: string, stride: number): Record<string, Attribute> => ({
  T: floats,
  padding: text(padding),
  strides: integers(1, stride, stride, 1),
  dilations: integers(1, 1, 1, 1),
  data_format: text('NHWC'),
});

function pseudoRandom(count: number, seed: number): number[] {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 30 - 1;
  });
}

/** A graph model as its two files; the last node is the output. */
function graphOf(
  input: readonly number[],
  constants: Readonly<Record<string, Constant>>,
  nodes: Readonly<Record<string, Node>>,
): GraphModelFiles {
  const parts: Buffer[] = [];
  const weights = Object.entries(constants).map(([name, { shape, integers: values, levels }], index) => {
    const count = shape.reduce((product, size) => product * size, 1);
    const random = pseudoRandom(count, index + 7);
    if (values !== undefined) parts.push(Buffer.from(Int32Array.from(values).buffer));
    else if (levels) parts.push(Buffer.from(random.map((value) => Math.floor((value + 1) * 127))));
    else parts.push(Buffer.from(Float32Array.from(random).buffer));
    const dtype = values === undefined ? 'float32' : 'int32';
    return { name, shape, dtype, ...(levels ? { quantization: { dtype: 'uint8', scale: 0.01, min: -1.2 } } : {}) };
  });
  const placeholder = { shape: { shape: { dim: input.map((size) => ({ size: String(size) })) } }, dtype: floats };
  const node = [
    { name: 'x', op: 'Placeholder', attr: placeholder },
    ...weights.map(({ name, dtype }) => ({
      name,
      op: 'Const',
      attr: { dtype: { type: dtype === 'int32' ? 'DT_INT32' : 'DT_FLOAT' } },
    })),
    ...Object.entries(nodes).map(([name, rest]) => ({ name, attr: {}, ...rest })),
  ];
  const json = {
    format: 'graph-model',
    modelTopology: { node, versions: { producer: 1 } },
    weightsManifest: [{ paths: ['w.bin'], weights }],
  };
  return { json: JSON.stringify(json), weights: Buffer.concat(parts) };
}

async function differenceOf(files: GraphModelFiles, dims: readonly number[], output: string): Promise<number> {
  const data = Float32Array.from(
    pseudoRandom(
      dims.reduce((product, size) => product * size, 1),
      3,
    ),
  );
  const input = { name: 'x', data, dims };
  const [expected] = await reference.run({ files, input, outputs: [output] });
  const [found] = await runOnnx(convertGraph(files, { inputs: ['x'], outputs: [output] }), input, [output]);
  if (expected === undefined || found === undefined) throw new Error('no output');
  return greatestDifference(found, expected);
}

const SIZE = [1, 7, 6, 4];
const kernel = { k: { shape: [3, 3, 4, 5] } };
const conv = (padding: string, stride: number): Node => ({
  op: 'Conv2D',
  input: ['x', 'k'],
  attr: window(padding, stride),
});
const resize = (attr: Record<string, Attribute>): Node => ({
  op: 'ResizeBilinear',
  input: ['x', 'size'],
  attr: { T: floats, ...attr },
});

const cases: [string, Record<string, Constant>, Node][] = [
  ['convolution, SAME, stride 2', kernel, conv('SAME', 2)],
  ['convolution, VALID', kernel, conv('VALID', 1)],
  ['convolution with an even kernel, SAME', { k: { shape: [2, 4, 4, 3] } }, conv('SAME', 1)],
  ['convolution with quantised weights', { k: { shape: [1, 1, 4, 2], levels: true } }, conv('SAME', 1)],
  [
    'fused convolution with bias and Relu6',
    { ...kernel, b: { shape: [5] } },
    {
      op: '_FusedConv2D',
      input: ['x', 'k', 'b'],
      attr: { ...window('SAME', 1), fused_ops: texts('BiasAdd', 'Relu6'), num_args: { i: '1' } },
    },
  ],
  [
    'depthwise convolution with two outputs a channel',
    { k: { shape: [3, 3, 4, 2] } },
    { op: 'DepthwiseConv2dNative', input: ['x', 'k'], attr: window('SAME', 1) },
  ],
  [
    'pooling of odd sizes',
    {},
    { op: 'MaxPool', input: ['x'], attr: { ...window('SAME', 2), ksize: integers(1, 2, 2, 1) } },
  ],
  [
    'mean that keeps dimensions',
    { axes: { shape: [2], integers: [1, 2] } },
    { op: 'Mean', input: ['x', 'axes'], attr: { T: floats, keep_dims: yes } },
  ],
  ['mean', { axes: { shape: [2], integers: [1, 2] } }, { op: 'Mean', input: ['x', 'axes'], attr: { T: floats } }],
  ['resize', { size: { shape: [2], integers: [14, 18] } }, resize({})],
  ['resize, aligned corners', { size: { shape: [2], integers: [14, 18] } }, resize({ align_corners: yes })],
  ['resize, half-pixel centres', { size: { shape: [2], integers: [14, 18] } }, resize({ half_pixel_centers: yes })],
  [
    'padding',
    { pads: { shape: [4, 2], integers: [0, 0, 1, 2, 0, 3, 0, 2] } },
    { op: 'Pad', input: ['x', 'pads'], attr: { T: floats } },
  ],
  ['product with a vector', { v: { shape: [4] } }, { op: 'Mul', input: ['x', 'v'], attr: { T: floats } }],
  ['least of a scalar', { v: { shape: [] } }, { op: 'Minimum', input: ['v', 'x'], attr: { T: floats } }],
  ['greatest', { v: { shape: [4] } }, { op: 'Maximum', input: ['x', 'v'], attr: { T: floats } }],
  ['softmax', {}, { op: 'Softmax', input: ['x'], attr: { T: floats } }],
];

describe('operations', () => {
  test.each(cases)('%s', async (_name, constants, node) => {
    expect(await differenceOf(graphOf(SIZE, constants, { y: node }), SIZE, 'y')).toBeLessThanOrEqual(1e-5);
  });

  test('reshape, then a fused matrix product', async () => {
    const constants = {
      shape: { shape: [2], integers: [1, 168] },
      m: { shape: [168, 3] },
      b: { shape: [3] },
    };
    const files = graphOf(SIZE, constants, {
      flat: { op: 'Reshape', input: ['x', 'shape'], attr: { T: floats } },
      y: {
        op: '_FusedMatMul',
        input: ['flat', 'm', 'b'],
        attr: { T: floats, fused_ops: texts('BiasAdd', 'Relu'), num_args: { i: '1' } },
      },
    });
    expect(await differenceOf(files, SIZE, 'y')).toBeLessThanOrEqual(1e-5);
  });

  test('concatenation of branches, written before its inputs and with a control dependency', async () => {
    const constants = { axis: { shape: [], integers: [3] } };
    const files = graphOf(SIZE, constants, {
      y: { op: 'ConcatV2', input: ['a:0', 'x', 'axis'], attr: { T: floats, N: { i: '2' } } },
      a: { op: 'Relu', input: ['x', '^axis'], attr: { T: floats } },
    });
    expect(await differenceOf(files, SIZE, 'y')).toBe(0);
  });

  test('a grouped convolution is two convolutions side by side', async () => {
    const files = graphOf(SIZE, { k: { shape: [1, 1, 2, 6] } }, { y: conv('SAME', 1) });
    const data = Float32Array.from(pseudoRandom(168, 3));
    const kernelValues = pseudoRandom(12, 7);
    const [found] = await runOnnx(
      convertGraph(files, { inputs: ['x'], outputs: ['y'] }),
      { name: 'x', data, dims: SIZE },
      ['y'],
    );
    const expected = Float32Array.from({ length: 42 * 6 }, (_, index) => {
      const [cell, output] = [Math.floor(index / 6), index % 6];
      const first = cell * 4 + (output < 3 ? 0 : 2);
      return [0, 1].reduce((sum, i) => sum + (data[first + i] ?? 0) * (kernelValues[i * 6 + output] ?? 0), 0);
    });
    expect(greatestDifference(found ?? new Float32Array(), expected)).toBeLessThanOrEqual(1e-5);
  });
});
