import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { parseManifest } from './manifest.ts';

/** What `meridian models add` fills in from the file. */
const file = { digest: `sha256:${'0'.repeat(64)}`, bytes: 1 };

test('the manifests in docs/models.md are valid', async () => {
  const text = await readFile(join(import.meta.dirname, '..', '..', 'docs', 'models.md'), 'utf8');
  const examples = Array.from(text.matchAll(/^```yaml\n([\s\S]*?)^```$/gm), ([, yaml = '']) => parse(yaml));
  expect(examples.map(({ name }) => name)).toEqual(['resnet50', 'yolo-small', 'ssd-mobilenet']);
  for (const example of examples) {
    const model = { ...example.parts.model, ...file };
    expect(parseManifest({ ...example, parts: { model } }).name).toBe(example.name);
  }
});
