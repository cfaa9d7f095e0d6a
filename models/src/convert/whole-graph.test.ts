import { describe, expect, test } from '@jest/globals';
import { Failure } from '@meridian/failure';
import { convertGraph } from './whole-graph.ts';

const shape = { shape: { dim: ['1', '4', '4', '2'].map((size) => ({ size })) } };
const input = { name: 'x', op: 'Placeholder', attr: { shape } };
const same = { s: Buffer.from('SAME').toString('base64') };
const list = (...i: string[]) => ({ list: { i } });

function convert(node: object): Uint8Array {
  const weights = [{ name: 'k', shape: [1, 1, 2, 1], dtype: 'float32' }];
  const json = { format: 'graph-model', modelTopology: { node: [input, node] } };
  const files = {
    json: JSON.stringify({ ...json, weightsManifest: [{ paths: ['a'], weights }] }),
    weights: Buffer.from(Float32Array.of(1, 2).buffer),
  };
  return convertGraph(files, { inputs: ['x'], outputs: ['y'] });
}

function failureOf(node: object): Failure {
  try {
    convert(node);
  } catch (thrown) {
    if (thrown instanceof Failure) return thrown;
    throw thrown;
  }
  throw new Error('the graph was converted');
}

describe('convertGraph', () => {
  test('refuses an operation that it does not know, by name', () => {
    const failure = failureOf({ name: 'y', op: 'SpaceToDepth', input: ['x'] });
    expect(failure).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'GRAPH_OPERATION_UNSUPPORTED' });
    expect(failure.message).toContain('operation SpaceToDepth (node y)');
  });

  test.each([
    ['dilation', { padding: same, strides: list('1', '1', '1', '1'), dilations: list('1', '2', '2', '1') }],
    ['strides over channels', { padding: same, strides: list('1', '1', '1', '2') }],
    ['unknown padding', { padding: { s: 'RVhQTElDSVQ=' }, strides: list('1', '1', '1', '1') }],
  ])('refuses a convolution with %s', (_, attr) => {
    expect(failureOf({ name: 'y', op: 'Conv2D', input: ['x', 'k'], attr }).reason).toBe('GRAPH_OPERATION_UNSUPPORTED');
  });

  test('refuses a second output of a node and a kernel that is computed', () => {
    expect(failureOf({ name: 'y', op: 'Relu', input: ['x:1'] }).reason).toBe('GRAPH_VALUE_UNKNOWN');
    const attr = { padding: same, strides: list('1', '1', '1', '1') };
    expect(failureOf({ name: 'y', op: 'Conv2D', input: ['x', 'x'], attr }).message).toContain(
      'x, which is not a constant',
    );
  });

  test('gives the same bytes each time', () => {
    const node = { name: 'y', op: 'Relu', input: ['x'] };
    expect(Buffer.from(convert(node)).equals(convert(node))).toBe(true);
  });
});
