import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CatalogueModel, modelDigest, parseManifest } from '@meridian/models';
import { photograph } from './photographs.ts';

/** Its manifest names an input that its graph does not have. */
export function misfitOf(model: CatalogueModel | undefined): CatalogueModel {
  const part = model?.manifest.parts.model;
  if (model === undefined || part === undefined) throw new Error('no model to spoil');
  const parts = { model: { ...part, input: { ...part.input, name: 'pixels' } } };
  const manifest = parseManifest({ ...model.manifest, name: 'misfit', parts });
  return { ...model, name: 'misfit', manifest, digest: modelDigest(manifest) };
}

/** A model with a golden picture that it answers, and with its labels shifted by one so that it does not. */
export async function goldenModels(
  model: CatalogueModel | undefined,
  directory: string,
): Promise<[CatalogueModel, CatalogueModel]> {
  if (model === undefined) throw new Error('no model for a golden picture');
  const bytes = await photograph('astronaut.png');
  const path = join(directory, 'astronaut.png');
  await writeFile(path, bytes);
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const picture = { file: 'astronaut.png', digest, bytes: bytes.length, expect: [{ label: 'person' }] };
  const version = (name: string, labels: readonly string[]): CatalogueModel => {
    const manifest = parseManifest({ ...model.manifest, name, labels, golden: [picture] });
    const blobs = [...model.blobs, { digest, bytes: bytes.length, path }];
    return { ...model, name, manifest, digest: modelDigest(manifest), blobs };
  };
  const { labels } = model.manifest;
  return [version('golden', labels), version('wrong', [...labels.slice(1), ...labels.slice(0, 1)])];
}
