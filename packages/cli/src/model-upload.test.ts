import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { parseManifest } from '@meridian/models';
import { stringify } from 'yaml';
import { modelParts, readModel } from './model-upload.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meridian-model-'));
});
afterEach(() => rm(folder, { recursive: true }));

const input = { name: 'input', width: 320, height: 320, fit: 'letterbox', layout: 'NHWC', type: 'float32' };
const manifest = (parts: object, kind: 'rows' | 'ppocr' = 'rows') => ({
  name: 'own-model',
  licence: 'MIT',
  source: 'here',
  task: kind === 'rows' ? 'detection' : 'text',
  parts,
  decoder: kind === 'rows' ? { kind, output: 'out' } : { kind },
  labels: ['a'],
});
const write = async (name: string, content: string) => {
  await writeFile(join(folder, name), content);
  return join(folder, name);
};
const digestOf = (content: string) => `sha256:${createHash('sha256').update(content).digest('hex')}`;

describe('readModel', () => {
  test('fills in what the file says, and sends manifest and weights', async () => {
    const yaml = await write('manifest.yaml', stringify(manifest({ model: { input } })));
    const upload = await readModel(yaml, [await write('my weights.onnx', 'weights')]);
    expect(upload.manifest.parts.model).toMatchObject({
      file: 'my_weights.onnx',
      digest: digestOf('weights'),
      bytes: 7,
    });
    const sent: unknown[] = [];
    let bytes = 0;
    for await (const { part } of modelParts(upload, (count) => (bytes += count))) sent.push(part);
    expect(sent).toMatchObject([
      { case: 'manifest' },
      { case: 'start', value: { digest: digestOf('weights') } },
      { case: 'chunk', value: Buffer.from('weights') },
    ]);
    expect(parseManifest(JSON.parse((sent[0] as { value: string }).value))).toEqual(upload.manifest);
    expect(bytes).toBe(7);
  });

  test('golden pictures beside the manifest go with it', async () => {
    await write('cat.jpg', 'a cat');
    const golden = [{ file: 'cat.jpg', expect: [{ label: 'a' }] }];
    const yaml = await write('manifest.yaml', stringify({ ...manifest({ model: { input } }), golden }));
    const weights = await write('w.onnx', 'weights');
    const upload = await readModel(yaml, [weights]);
    expect(upload.manifest.golden).toMatchObject([{ file: 'cat.jpg', digest: digestOf('a cat'), bytes: 5 }]);
    expect(upload.totalBytes).toBe(12);
    const started: unknown[] = [];
    for await (const { part } of modelParts(upload, () => undefined))
      if (part?.case === 'start') started.push(part.value.digest);
    expect(started).toEqual([digestOf('weights'), digestOf('a cat')]);
    const outside = [{ ...golden[0], file: '../cat.jpg' }];
    const bad = await write('bad.yaml', stringify({ ...manifest({ model: { input } }), golden: outside }));
    await expect(readModel(bad, [weights])).rejects.toThrow(/golden\.0\.file/);
  });

  test('files of several parts belong by name, else in order', async () => {
    const detection = await write('d.onnx', 'detection');
    const recognition = await write('r.onnx', 'recognition');
    const named = { detection: { file: 'd.onnx', input }, recognition: { file: 'r.onnx', input } };
    const byName = await readModel(await write('m.yaml', stringify(manifest(named, 'ppocr'))), [
      recognition,
      detection,
    ]);
    expect(byName.manifest.parts.detection?.digest).toBe(digestOf('detection'));
    const unnamed = { detection: { input }, recognition: { input } };
    const inOrder = await readModel(await write('m.yaml', stringify(manifest(unnamed, 'ppocr'))), [
      detection,
      recognition,
    ]);
    expect(inOrder.manifest.parts.recognition?.digest).toBe(digestOf('recognition'));
  });

  test.each([
    [
      'a digest of another file',
      { model: { input, digest: digestOf('other') } },
      /parts\.model\.digest: .* has sha256/,
    ],
    ['a missing part', {}, /parts: the manifest has 0/],
    ['a wrong field', { model: { input: { ...input, fit: 'squash' } } }, /parts\.model\.input\.fit/],
  ])('%s is refused by name', async (_, parts, message) => {
    const weights = await write('w.onnx', 'weights');
    await expect(readModel(await write('m.yaml', stringify(manifest(parts))), [weights])).rejects.toThrow(message);
  });

  test('what is no manifest, or not there, is refused by name', async () => {
    await expect(readModel(await write('m.yaml', 'a: ['), [])).rejects.toThrow(/m\.yaml/);
    await expect(readModel(await write('m.yaml', 'text'), [])).rejects.toThrow(/not a manifest/);
    await expect(readModel(join(folder, 'gone.yaml'), [])).rejects.toThrow(/gone\.yaml/);
  });
});
