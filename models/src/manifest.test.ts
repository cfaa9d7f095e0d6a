import { describe, expect, test } from '@jest/globals';
import { canonicalJson, modelDigest, parseManifest } from './manifest.ts';

const input = { name: 'x', width: 224, height: 224, fit: 'crop', shorterSide: 256, layout: 'NCHW', type: 'float32' };
const valid = {
  name: 'resnet-50',
  licence: 'Apache-2.0',
  source: 'https://example.org/resnet',
  task: 'classification',
  parts: { model: { file: 'resnet.onnx', digest: `sha256:${'a'.repeat(64)}`, bytes: 10, input } },
  decoder: { kind: 'classifier', output: 'logits', activation: 'softmax' },
  labels: ['cat', 'dog'],
};

describe('manifest', () => {
  test('names every wrong field', () => {
    const broken = { ...valid, name: 'Res Net', decoder: { ...valid.decoder, scoreThreshold: 3 } };
    expect(() => parseManifest(broken)).toThrow(/name: .*decoder\.scoreThreshold: /s);
  });

  test('refuses an unknown field', () => {
    expect(() => parseManifest({ ...valid, treshold: 1 })).toThrow(/treshold/);
  });

  test('names the parts that a decoder needs', () => {
    expect(() => parseManifest({ ...valid, decoder: { kind: 'ppocr' } })).toThrow(
      /needs detection and recognition, found model/,
    );
  });

  test('a changed threshold is another version, another order of fields is not', () => {
    const digest = modelDigest(parseManifest(valid));
    expect(modelDigest(parseManifest(Object.fromEntries(Object.entries(valid).reverse())))).toBe(digest);
    expect(modelDigest(parseManifest({ ...valid, decoder: { ...valid.decoder, scoreThreshold: 0.4 } }))).not.toBe(
      digest,
    );
  });

  test('canonical JSON sorts keys at every depth', () => {
    expect(canonicalJson({ b: [{ d: 1, c: null }], a: 'ä' })).toBe('{"a":"ä","b":[{"c":null,"d":1}]}');
  });
});
