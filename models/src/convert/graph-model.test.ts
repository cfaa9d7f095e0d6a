import { describe, expect, test } from '@jest/globals';
import { readGraphModel } from './graph-model.ts';

const half = Buffer.from(Uint16Array.of(0x3c00, 0xc100, 0x0001, 0x7bff).buffer);
const whole = Buffer.from(Int32Array.of(-7, 9).buffer);

function json(weights: object[], node: object[] = []): string {
  return JSON.stringify({
    format: 'graph-model',
    modelTopology: { node },
    weightsManifest: [{ paths: ['a'], weights }],
  });
}

describe('readGraphModel', () => {
  test('reads halves, quantised and plain weights one after the other', () => {
    const { weights } = readGraphModel(
      json([
        { name: 'h', shape: [4], dtype: 'float32', quantization: { dtype: 'float16' } },
        { name: 'q', shape: [3], dtype: 'float32', quantization: { dtype: 'uint8', scale: 0.5, min: -1 } },
        { name: 'i', shape: [2], dtype: 'int32' },
      ]),
      Buffer.concat([half, Buffer.from([0, 1, 255]), whole]),
    );
    expect(Array.from(weights.get('h')?.values ?? [])).toEqual([1, -2.5, 2 ** -24, 65504]);
    expect(Array.from(weights.get('h')?.halves ?? [])).toEqual([0x3c00, 0xc100, 1, 0x7bff]);
    expect(Array.from(weights.get('q')?.values ?? [])).toEqual([-1, -0.5, 126.5]);
    expect(weights.get('i')?.values).toEqual(Int32Array.of(-7, 9));
  });

  test.each([
    ['too few bytes', whole.subarray(0, 7), /end within i/],
    ['bytes left over', Buffer.concat([whole, half]), /8 bytes of weights, the files have 16/],
  ])('refuses weights with %s', (_, shards, message) => {
    expect(() => readGraphModel(json([{ name: 'i', shape: [2], dtype: 'int32' }]), shards)).toThrow(message);
  });

  test('drops control inputs and the number of the first output, keeps others', () => {
    const { nodes } = readGraphModel(json([], [{ name: 'n', op: 'Add', input: ['a:0', '^c', 'b:1'] }]), Buffer.of());
    expect(nodes.get('n')?.inputs).toEqual(['a', 'b:1']);
  });

  test('names what is missing in a file that is no graph model', () => {
    expect(() => readGraphModel('{"format":"layers-model"}', Buffer.of())).toThrow(/format: .*modelTopology: /s);
  });
});
