import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StateService } from '@meridian/contracts/state';
import { canonicalJson, type Manifest, modelDigest, parseManifest } from '@meridian/models';
import { createClient } from '@meridian/rpc';
import { parse } from 'yaml';
import type { RunningSystem } from '../support/local-system.ts';
import type { ModelVersion } from './answers.ts';

const CHUNK_BYTES = 2 ** 20;
const ADD_TIMEOUT_MS = 60_000;

/** How a version differs from the catalogue's model, besides its name and labels. */
export interface Variation {
  /** Other weights, uploaded with it. */
  readonly weights?: Uint8Array;
  /** By so many places: what it finds gets the name of something else. */
  readonly labelsShifted?: number;
  /** A picture in which it must find the label, to be served. */
  readonly golden?: { readonly picture: Uint8Array; readonly label: string };
}

/** The catalogue's manifest of a model, as the installed one says it. */
export async function installedManifest(running: RunningSystem, model: string): Promise<Manifest> {
  const file = join(running.system.paths.models, model, 'manifest.yaml');
  return parseManifest(parse(await readFile(file, 'utf8')));
}

export async function installedWeights(running: RunningSystem, manifest: Manifest): Promise<Uint8Array> {
  const digest = manifest.parts.model?.digest.replace('sha256:', '') ?? '';
  return readFile(join(running.system.paths.models, 'blobs', digest));
}

/**
 * A version of a catalogue's model whose every label says its name: `name: person`. Whoever sees an answer knows which
 * version was run. Added in one region; it replicates to the others.
 */
export async function addVersion(
  running: RunningSystem,
  region: string,
  of: Manifest,
  name: string,
  { weights, labelsShifted = 0, golden }: Variation = {},
): Promise<ModelVersion> {
  const named = of.labels.map((label) => `${name}: ${label}`);
  const labels = [...named.slice(labelsShifted), ...named.slice(0, labelsShifted)];
  const part = of.parts.model;
  if (part === undefined) throw new RangeError(`${of.name} has several parts`);
  const model = weights === undefined ? part : { ...part, ...blobOf(weights) };
  const picture = golden && { file: 'golden.jpg', ...blobOf(golden.picture), expect: [{ label: golden.label }] };
  const manifest = parseManifest({ ...of, name, labels, parts: { model }, ...(picture && { golden: [picture] }) });
  const client = createClient(StateService, await running.syncChannel(region));
  const blobs = [weights, golden?.picture].filter((bytes) => bytes !== undefined);
  await client.addModel(uploadOf(manifest, blobs), { timeoutMs: ADD_TIMEOUT_MS });
  return { name, digest: modelDigest(manifest), labels: new Set(labels) };
}

async function* uploadOf(manifest: Manifest, blobs: readonly Uint8Array[]) {
  yield { part: { case: 'manifest', value: canonicalJson(manifest) } } as const;
  for (const bytes of blobs) {
    yield { part: { case: 'start', value: { digest: blobOf(bytes).digest } } } as const;
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES)
      yield { part: { case: 'chunk', value: bytes.subarray(at, at + CHUNK_BYTES) } } as const;
  }
}

function blobOf(bytes: Uint8Array): { readonly digest: string; readonly bytes: number } {
  return { digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`, bytes: bytes.length };
}
