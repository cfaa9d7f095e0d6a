import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type ReadBlobResponse, ReadBlobResponseSchema } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { createLogger } from '@meridian/runtime';
import { type Blob, ModelStore } from './model-store.ts';

const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });
const { signal } = new AbortController();
let directory: string;
let asked: { digest: string; offset: number }[];
/** Served by the sync service, by digest. */
let served: Map<string, Uint8Array>;
/** Bytes after which the next stream breaks. */
let breakAfter: number;
let isOnItsWay: boolean;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'meridian-store-'));
  asked = [];
  served = new Map();
  breakAfter = Number.POSITIVE_INFINITY;
  isOnItsWay = false;
});
afterEach(() => rm(directory, { recursive: true, force: true }));

function blob(text: string): Blob & { readonly file: string } {
  const bytes = Buffer.from(text);
  const hex = createHash('sha256').update(bytes).digest('hex');
  served.set(`sha256:${hex}`, bytes);
  return { digest: `sha256:${hex}`, bytes: bytes.length, file: join(directory, hex) };
}

async function* readBlob(request: { digest?: string; offset?: bigint }): AsyncGenerator<ReadBlobResponse> {
  const { digest = '', offset = 0n } = request;
  asked.push({ digest, offset: Number(offset) });
  const bytes = served.get(digest);
  if (bytes === undefined && isOnItsWay)
    throw new Failure('UNAVAILABLE', 'on its way', { reason: 'BLOB_ON_ITS_WAY', retryDelayMs: 500 });
  if (bytes === undefined) throw new Failure('NOT_FOUND', 'no such blob');
  for (let at = Number(offset); at < bytes.length; at += 4) {
    if (at >= breakAfter) {
      breakAfter = Number.POSITIVE_INFINITY;
      throw new Failure('UNAVAILABLE', 'the stream broke');
    }
    yield create(ReadBlobResponseSchema, { chunk: bytes.subarray(at, at + 4) });
  }
}

async function open(bytesMax = 1000): Promise<ModelStore> {
  const store = new ModelStore({ directory, client: { readBlob }, bytesMax, logger });
  await store.start();
  return store;
}

describe('ModelStore', () => {
  test('fetches once, also when asked twice at the same time, and keeps it over a restart', async () => {
    const weights = blob('some weights');
    const store = await open();
    const paths = await Promise.all([store.ensure(weights, signal), store.ensure(weights, signal)]);
    expect(paths).toEqual([weights.file, weights.file]);
    expect(await readFile(weights.file, 'utf8')).toBe('some weights');
    expect(await (await open()).ensure(weights, signal)).toBe(weights.file);
    expect(asked.length).toBe(1);
  });

  test('goes on where a stream broke', async () => {
    const weights = blob('weights that come in pieces');
    breakAfter = 8;
    await (await open()).ensure(weights, signal);
    expect(asked.map(({ offset }) => offset)).toEqual([0, 8]);
    expect(await readFile(weights.file, 'utf8')).toBe('weights that come in pieces');
  });

  test('fetches again what was damaged on disk', async () => {
    const weights = blob('some weights');
    await writeFile(weights.file, 'some wAights');
    await (await open()).ensure(weights, signal);
    expect(await readFile(weights.file, 'utf8')).toBe('some weights');
  });

  test.each(['other weights!!', 'short'])(
    'refuses %j in place of what the digest names, and leaves no file',
    async (text) => {
      const weights = blob('right weights!!');
      served.set(weights.digest, Buffer.from(text));
      await expect((await open()).ensure(weights, signal)).rejects.toMatchObject({ reason: 'MODEL_DIGEST_MISMATCH' });
      expect(await readdir(directory)).toEqual([]);
    },
  );

  test('says what is missing', async () => {
    const weights = blob('x');
    served.clear();
    await expect((await open()).ensure(weights, signal)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('asks once for what is on its way: the caller is told when to come again', async () => {
    const weights = blob('x');
    served.clear();
    isOnItsWay = true;
    const failure = { reason: 'BLOB_ON_ITS_WAY', retryDelayMs: 500 };
    await expect((await open()).ensure(weights, signal)).rejects.toMatchObject(failure);
    expect(asked).toHaveLength(1);
  });

  test('makes room by deleting what was used longest ago, never what is in use', async () => {
    const [old, older, used, big] = [
      blob('a'.repeat(30)),
      blob('b'.repeat(30)),
      blob('c'.repeat(30)),
      blob('d'.repeat(60)),
    ];
    const earlier = await open(100);
    for (const weights of [old, older]) await earlier.ensure(weights, signal);
    const store = await open(100);
    await store.ensure(used, signal);
    const longAgo = new Date(0);
    await utimes(older.file, longAgo, longAgo);
    await store.ensure(blob('e'.repeat(20)), signal);
    expect((await readdir(directory)).map((name) => join(directory, name))).not.toContain(older.file);
    await expect(store.ensure(big, signal)).rejects.toMatchObject({ reason: 'MODEL_STORE_FULL' });
    expect(await readFile(used.file, 'utf8')).toBe('c'.repeat(30));
  });

  test('removes what an earlier process left half-written', async () => {
    await writeFile(join(directory, 'abc.part'), 'half');
    await open();
    expect(await readdir(directory)).toEqual([]);
  });
});
