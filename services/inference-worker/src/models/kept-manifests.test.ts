import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type Manifest, modelDigest, parseManifest } from '@meridian/models';
import { createLogger } from '@meridian/runtime';
import { KeptManifests, MANIFESTS_MAX } from './kept-manifests.ts';

const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'meridian-manifests-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

function manifestOf(description: string): Manifest {
  const input = { name: 'x', width: 224, height: 224, fit: 'stretch', layout: 'NCHW', type: 'float32' };
  return parseManifest({
    ...{ name: 'a', description, licence: 'MIT', source: 'https://example.org', task: 'classification' },
    parts: { model: { file: 'model.onnx', digest: `sha256:${'0'.repeat(64)}`, bytes: 1, input } },
    decoder: { kind: 'classifier', output: 'y', activation: 'none' },
    labels: ['cat'],
  });
}

test('a manifest is found by its digest in a later life; a damaged or absent one is not', async () => {
  const manifest = manifestOf('first');
  const digest = modelDigest(manifest);
  const kept = new KeptManifests(join(directory, 'a'), logger);
  await kept.start();
  await kept.keep(digest, manifest);
  const later = new KeptManifests(join(directory, 'a'), logger);
  await later.start();
  expect(await later.find(digest)).toEqual(manifest);
  expect(await later.find(modelDigest(manifestOf('second')))).toBeUndefined();
  expect(await later.find('../../etc/passwd')).toBeUndefined();
  await writeFile(join(directory, 'a', digest.slice(7)), JSON.stringify(manifestOf('second')));
  expect(await later.find(digest)).toBeUndefined();
});

test('the one written longest ago makes room, and a disk that takes none costs nothing now', async () => {
  const kept = new KeptManifests(directory, logger);
  await kept.start();
  for (let i = 0; i < MANIFESTS_MAX; i += 1) await writeFile(join(directory, `old-${i}`), '');
  const longAgo = new Date(0);
  await utimes(join(directory, 'old-7'), longAgo, longAgo);
  await kept.keep(modelDigest(manifestOf('new')), manifestOf('new'));
  const names = await readdir(directory);
  expect(names).toHaveLength(MANIFESTS_MAX);
  expect(names).not.toContain('old-7');
  await rm(directory, { recursive: true });
  await kept.keep(modelDigest(manifestOf('new')), manifestOf('new'));
});
