import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { AddModelRequestSchema } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { canonicalJson, type Manifest, parseManifest } from '@meridian/models';
import { parse } from 'yaml';
import { fileFailure } from './file-failure.ts';

export type AddModelPart = MessageInitShape<typeof AddModelRequestSchema>;

export interface ModelUpload {
  readonly manifest: Manifest;
  /** Weights in the order of the manifest's parts, then golden pictures. */
  readonly weights: readonly WeightFile[];
  readonly totalBytes: number;
}

interface WeightFile {
  readonly path: string;
  /** `sha256:…` */
  readonly digest: string;
  readonly bytes: number;
}

const CHUNK_BYTES = 2 ** 20;
const MANIFEST_BYTES_MAX = 8 * 2 ** 20;

/**
 * Reads a manifest and the weights it describes. A part's `file`, `digest` and `bytes` may be left out: they are taken
 * from the file, those of golden pictures from the files beside the manifest. Files belong to parts by name, else in the manifest's order.
 * @throws Failure INVALID_ARGUMENT / MANIFEST_INVALID naming the field or file; NOT_FOUND for a file that is not there.
 */
export async function readModel(manifestPath: string, files: readonly string[]): Promise<ModelUpload> {
  const raw = await readManifest(manifestPath);
  const parts = isRecord(raw.parts) ? raw.parts : {};
  const weights: WeightFile[] = [];
  const filled: Record<string, unknown> = {};
  for (const [name, path] of assign(parts, files)) {
    const weight = await readWeights(path);
    const given = isRecord(parts[name]) ? parts[name] : {};
    if (typeof given.digest === 'string' && given.digest !== weight.digest)
      throw invalid(`parts.${name}.digest: the manifest says ${given.digest}, ${path} has ${weight.digest}`);
    const file = basename(path)
      .replace(/[^\w.-]/g, '_')
      .slice(-128);
    filled[name] = { file, ...given, digest: weight.digest, bytes: given.bytes ?? weight.bytes };
    weights.push(weight);
  }
  const golden = await readGolden(raw.golden, manifestPath);
  weights.push(...golden.map(({ file }) => file));
  const manifest = parseManifest({
    ...raw,
    parts: filled,
    ...(raw.golden !== undefined && { golden: golden.map(({ entry }) => entry) }),
  });
  return { manifest, weights, totalBytes: weights.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** Golden pictures lie beside the manifest; like weights, they get their digest and size from the file. */
async function readGolden(golden: unknown, manifestPath: string): Promise<{ file: WeightFile; entry: unknown }[]> {
  const read: { file: WeightFile; entry: unknown }[] = [];
  for (const [i, given] of (Array.isArray(golden) ? golden : []).entries()) {
    if (!isRecord(given) || typeof given.file !== 'string' || basename(given.file) !== given.file)
      throw invalid(`golden.${i}.file: expected the name of a picture beside the manifest`);
    const path = join(dirname(manifestPath), given.file);
    const file = await readWeights(path);
    if (typeof given.digest === 'string' && given.digest !== file.digest)
      throw invalid(`golden.${i}.digest: the manifest says ${given.digest}, ${path} has ${file.digest}`);
    read.push({ file, entry: { ...given, digest: file.digest, bytes: file.bytes } });
  }
  return read;
}

/** The messages of AddModel. Weights that two parts share go once. `onChunk` hears of each chunk's bytes. */
export async function* modelParts(upload: ModelUpload, onChunk: (bytes: number) => void): AsyncGenerator<AddModelPart> {
  yield { part: { case: 'manifest', value: canonicalJson(upload.manifest) } };
  const sent = new Set<string>();
  for (const { path, digest } of upload.weights) {
    if (sent.has(digest)) continue;
    sent.add(digest);
    yield { part: { case: 'start', value: { digest } } };
    for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
      yield { part: { case: 'chunk', value: chunk as Buffer } };
      onChunk((chunk as Buffer).length);
    }
  }
}

async function readManifest(path: string): Promise<Record<string, unknown>> {
  const { size } = await found(path);
  if (size > MANIFEST_BYTES_MAX) throw invalid(`${path} has more than ${MANIFEST_BYTES_MAX} bytes`);
  let raw: unknown;
  try {
    raw = parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw invalid(`${path}: ${error instanceof Error ? error.message.split('\n', 1)[0] : String(error)}`);
  }
  if (!isRecord(raw)) throw invalid(`${path} is not a manifest: expected fields such as name, licence, parts, decoder`);
  return raw;
}

/** Part names with their files. */
function assign(parts: Readonly<Record<string, unknown>>, files: readonly string[]): [string, string][] {
  const names = Object.keys(parts);
  if (names.length !== files.length)
    throw invalid(`parts: the manifest has ${names.length} (${names.join(', ')}), given were ${files.length} files`);
  const fileOf = (name: string) => (isRecord(parts[name]) ? parts[name].file : undefined);
  const byName = names.map((name) => files.find((file) => basename(file) === fileOf(name)));
  const pairs = names.map((name, i): [string, string] => [
    name,
    byName.every((file) => file) ? (byName[i] ?? '') : (files[i] ?? ''),
  ]);
  return pairs;
}

async function readWeights(path: string): Promise<WeightFile> {
  const { size } = await found(path);
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) hash.update(chunk as Buffer);
  return { path, digest: `sha256:${hash.digest('hex')}`, bytes: size };
}

async function found(path: string): Promise<{ size: number }> {
  const entry = await stat(path).catch((cause) => {
    throw fileFailure('read', path, cause);
  });
  if (!entry.isFile()) throw invalid(`${path} is not a file`);
  return entry;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(message: string): Failure {
  return new Failure('INVALID_ARGUMENT', `the manifest is not valid: ${message}`, { reason: 'MANIFEST_INVALID' });
}
