import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Failure } from '@meridian/failure';
import { canonicalJson } from '@meridian/models';
import { manifestOf, sha256 } from '../region.fixture.ts';
import { BlobStore } from './blob-store.ts';
import { receiveModel, type UploadPart } from './model-upload.ts';

const weights = Buffer.from('weights of a small model');
const digest = `sha256:${sha256(weights)}`;
const manifest = manifestOf('small', weights);
const head = { kind: 'manifest', text: canonicalJson(manifest) } as const;
const start = { kind: 'start', digest } as const;
const chunk = (bytes: Uint8Array) => ({ kind: 'chunk', bytes }) as const;

let directory: string;
let store: BlobStore;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'meridian-blobs-'));
  store = new BlobStore({ directory, readOnlyDirectories: [join(directory, 'catalogue')], bytesMax: 100 });
  await store.start();
});

afterEach(() => rm(directory, { recursive: true, force: true }));

async function send(...parts: UploadPart[]): Promise<string | undefined> {
  async function* stream() {
    yield* parts;
  }
  return receiveModel(stream(), store).then(
    () => undefined,
    (error) => Failure.from(error).reason,
  );
}

async function read(offset = 0): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const bytes of store.read(digest, offset, new AbortController().signal)) chunks.push(bytes);
  return Buffer.concat(chunks).toString();
}

const left = async () => [...(await readdir(directory)), ...(await readdir(join(directory, '.incoming')))].sort();

describe('a model’s weights', () => {
  test('are kept once verified, readable from any offset, and may come again', async () => {
    expect(await send(head, start, chunk(weights.subarray(0, 5)), chunk(weights.subarray(5)))).toBeUndefined();
    expect(await read()).toBe(weights.toString());
    expect(await read(8)).toBe(weights.subarray(8).toString());
    expect(await read(weights.length)).toBe('');
    expect(await send(head, start, chunk(weights))).toBeUndefined();
    expect(await send(head)).toBeUndefined();
    expect(await left()).toEqual(['.incoming', '.partial', sha256(weights)]);
  });

  test.each([
    ['other bytes', [head, start, chunk(Buffer.from('x'.repeat(weights.length)))], 'BLOB_DIGEST'],
    ['too many', [head, start, chunk(weights), chunk(Buffer.from('x'))], 'BLOB_SIZE'],
    ['too few', [head, start, chunk(weights.subarray(1))], 'BLOB_SIZE'],
    ['none', [head], 'PART_MISSING'],
    ['of another model', [head, { ...start, digest: `sha256:${'0'.repeat(64)}` }], 'PART_UNKNOWN'],
    ['without a start', [head, chunk(weights)], 'UPLOAD_ORDER'],
    ['without a manifest', [start, chunk(weights)], 'UPLOAD_ORDER'],
    ['nothing at all', [], 'UPLOAD_ORDER'],
    ['a second manifest', [head, head], 'UPLOAD_ORDER'],
    ['a manifest that is not JSON', [{ ...head, text: '{' }], 'MANIFEST_INVALID'],
    ['a manifest that no record can hold', [{ ...head, text: ' '.repeat(100_000) }], 'MANIFEST_INVALID'],
  ] as const)('are refused: %s', async (_, parts, reason) => {
    expect(await send(...parts)).toBe(reason);
    expect(await left()).toEqual(['.incoming', '.partial']);
    // What was set aside was given back.
    for (let i = 0; i < 10; i++) await send(head);
    expect(await send(head, start, chunk(weights))).toBeUndefined();
  });

  test('that are here with another size than the manifest says are refused', async () => {
    expect(await send(head, start, chunk(weights))).toBeUndefined();
    const { parts } = manifest;
    const claimed = { ...manifest, parts: { model: { ...parts.model, bytes: weights.length + 1 } } };
    expect(await send({ kind: 'manifest', text: JSON.stringify(claimed) })).toBe('BLOB_SIZE');
  });

  test('that do not fit on the disk are refused before a byte is written', async () => {
    const large = manifestOf('large', Buffer.alloc(101));
    expect(await send({ kind: 'manifest', text: canonicalJson(large) })).toBe('BLOB_SPACE');
  });

  test('of an upload that breaks off leave nothing', async () => {
    async function* broken(): AsyncGenerator<UploadPart> {
      yield head;
      yield start;
      yield chunk(weights.subarray(0, 3));
      throw new Failure('CANCELLED', 'the caller went away');
    }
    await expect(receiveModel(broken(), store)).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(await left()).toEqual(['.incoming', '.partial']);
  });
});

describe('a blob', () => {
  const reading = (name: string, offset = 0) =>
    store
      .read(name, offset, new AbortController().signal)
      .next()
      .then(undefined, (error) => Failure.from(error).reason);

  test('that is not here, an offset beyond it, and a name that is a path are refused', async () => {
    await writeFile(join(directory, sha256(weights)), weights);
    expect(await reading(`sha256:${'0'.repeat(64)}`)).toBe('BLOB_NOT_HERE');
    expect(await reading(digest, weights.length + 1)).toBe('OFFSET_INVALID');
    for (const name of ['../../etc/passwd', 'sha256:../../../../etc/passwd', '', 'sha256:'])
      expect(await reading(name)).toBe('DIGEST_INVALID');
  });
});
