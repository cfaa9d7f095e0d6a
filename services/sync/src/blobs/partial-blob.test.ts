import { appendFile, mkdtemp, readdir, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Failure } from '@meridian/failure';
import { sha256 } from '../region.fixture.ts';
import { BlobStore } from './blob-store.ts';

const BYTES_MAX = 100;
const weights = Buffer.from('weights that come in parts');
const digest = `sha256:${sha256(weights)}`;
let directory: string;
let store: BlobStore;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'meridian-partial-'));
  store = await restart();
});

afterEach(() => rm(directory, { recursive: true, force: true }));

async function restart(): Promise<BlobStore> {
  const made = new BlobStore({ directory, readOnlyDirectories: [], bytesMax: BYTES_MAX });
  await made.start();
  return made;
}

const resume = () => store.resume(digest, weights.length);
const reasonOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error) => Failure.from(error).reason,
  );

/** What the store would still promise. */
function room(): number {
  let bytes = 0;
  for (let step = 64; step >= 1; step /= 2) {
    try {
      store.reserve(bytes + step)();
      bytes += step;
    } catch {
      // That was too much.
    }
  }
  return bytes;
}

test('goes on where it was, over a restart, and is the blob once its digest is right', async () => {
  const first = await resume();
  expect([first.offset, room()]).toEqual([0, BYTES_MAX - weights.length]);
  await first.append(weights.subarray(0, 10));
  await first.close();
  expect(room()).toBe(BYTES_MAX - 10);
  expect(await store.partials()).toEqual([digest]);
  store = await restart();
  expect(room()).toBe(BYTES_MAX - 10);
  const second = await resume();
  expect([second.offset, room()]).toEqual([10, BYTES_MAX - weights.length]);
  expect(await store.bytesOf(digest)).toBeUndefined();
  await second.append(weights.subarray(10));
  await second.finish();
  await second.close();
  expect(await store.bytesOf(digest)).toBe(weights.length);
  expect([room(), await store.partials()]).toEqual([BYTES_MAX - weights.length, []]);
  expect((await store.readChunk(digest, 8, 4)).chunk.toString()).toBe('that');
  expect(await store.readChunk(digest, 20, 99)).toEqual({ chunk: weights.subarray(20), totalBytes: weights.length });
});

test('other bytes are found out, those from before a restart too, and nothing of them is kept', async () => {
  const first = await resume();
  await first.append(weights.subarray(0, 10));
  await first.close();
  const path = join(directory, '.partial', sha256(weights));
  await truncate(path, 9);
  await appendFile(path, '!');
  store = await restart();
  const second = await resume();
  await second.append(weights.subarray(10));
  expect(await reasonOf(second.finish())).toBe('BLOB_DIGEST');
  expect([room(), await store.partials(), await store.bytesOf(digest)]).toEqual([BYTES_MAX, [], undefined]);
});

test('more than the blob has is no beginning of it', async () => {
  await appendFile(join(directory, '.partial', sha256(weights)), 'x'.repeat(weights.length + 1));
  store = await restart();
  const partial = await resume();
  expect([partial.offset, room()]).toEqual([0, BYTES_MAX - weights.length]);
  await partial.close();
  expect(room()).toBe(BYTES_MAX);
});

test('without room nothing is begun; what is not wanted any more gives its room back', async () => {
  const giveBack = store.reserve(BYTES_MAX - weights.length + 1);
  expect(await reasonOf(resume())).toBe('BLOB_SPACE');
  giveBack();
  const partial = await resume();
  await partial.append(weights.subarray(0, 10));
  await partial.close();
  await store.dropPartial(digest);
  expect([room(), await readdir(join(directory, '.partial'))]).toEqual([BYTES_MAX, []]);
});

test('what an upload brought meanwhile counts once', async () => {
  const partial = await resume();
  await partial.append(weights);
  store.reserve(weights.length);
  const upload = await store.receive(digest, weights.length);
  await upload.append(weights);
  await upload.finish();
  await partial.finish();
  expect([room(), await store.partials()]).toEqual([BYTES_MAX - weights.length, []]);
});
