import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Manifest, modelDigest, parseManifest } from '@meridian/models';
import type { Logger } from '@meridian/runtime';
import { parse } from 'yaml';

/** Of a manifest file; the largest alphabet makes 60 KB. */
const MANIFEST_CHARS_MAX = 8 * 2 ** 20;
/** Models of one catalogue. */
const MODELS_MAX = 1_000;

/**
 * The manifests of an installed catalogue (`<directory>/<name>/manifest.yaml`, complete when `digest` lies beside it).
 * One that cannot be read, or is not what `digest` says, is logged and left out: the others are served all the same.
 */
export async function readCatalogue(directory: string, logger: Logger): Promise<readonly Manifest[]> {
  const manifests: Manifest[] = [];
  const folders = await readdir(directory, { withFileTypes: true }).catch((error) => {
    logger.error({ err: error, directory }, 'the catalogue cannot be read');
    return [];
  });
  for (const folder of folders.filter((entry) => entry.isDirectory()).slice(0, MODELS_MAX)) {
    const path = join(directory, folder.name);
    const digest = await readFile(join(path, 'digest'), 'utf8').catch(() => undefined);
    if (digest === undefined) continue;
    try {
      manifests.push(await readManifest(join(path, 'manifest.yaml'), digest.trim()));
    } catch (error) {
      logger.error({ err: error, model: folder.name }, 'a model of the catalogue cannot be read');
    }
  }
  return manifests;
}

async function readManifest(path: string, digest: string): Promise<Manifest> {
  const text = await readFile(path, 'utf8');
  if (text.length > MANIFEST_CHARS_MAX) throw new Error(`longer than ${MANIFEST_CHARS_MAX} characters`);
  const manifest = parseManifest(parse(text));
  if (modelDigest(manifest) !== digest)
    throw new Error(`the manifest has digest ${modelDigest(manifest)}, not ${digest}`);
  return manifest;
}
