import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createLogger, VirtualClock } from '@meridian/runtime';
import { Spool } from './spool.ts';

let directory: string;
let clock: VirtualClock;
const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'meridian-spool-'));
  clock = new VirtualClock(1000);
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function opened(budgetBytes = 1e9): Promise<Spool> {
  const spool = new Spool({ directory, budgetBytes, orphanKeepMs: 1000, clock, logger });
  await spool.open();
  return spool;
}

const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

async function put(spool: Spool, bytes: Uint8Array, digest = digestOf(bytes), size = bytes.length): Promise<string> {
  const file = await spool.receive(digest, size);
  try {
    for (let at = 0; at < bytes.length; at += 1000) await file.write(bytes.subarray(at, at + 1000));
    await spool.store(file);
    await spool.settle();
  } catch (error) {
    await file.abort();
    throw error;
  }
  return digest;
}

describe('Spool', () => {
  test('what is stored is there, also for the next life of the process', async () => {
    const spool = await opened();
    const bytes = Buffer.alloc(5000, 7);
    const digest = await put(spool, bytes);
    await put(spool, bytes);
    expect([spool.sizeOf(digest), spool.storedBytes, spool.pictures]).toEqual([5000, 8192, 1]);
    await writeFile(join(directory, 'incoming', 'torn'), 'half');
    const next = await opened();
    expect(Buffer.compare(await next.read(digest), bytes)).toBe(0);
    expect([next.pictures, (await readdir(join(directory, 'incoming'))).length]).toEqual([1, 0]);
  });

  test('the pixels of a large picture are known to the life that received it, as its header says', async () => {
    const spool = await opened();
    const large = Buffer.alloc(200_000);
    large.write('\x89PNG\r\n\x1a\n', 'latin1');
    large.writeUInt32BE(3_000, 16);
    large.writeUInt32BE(2_000, 20);
    const [known, ordinary, other] = [large, large.subarray(0, 100_000), Buffer.alloc(200_000, 3)];
    for (const bytes of [known, ordinary, other]) await put(spool, bytes);
    const pixels = [known, ordinary, other].map((bytes) => spool.pixelsOf(digestOf(bytes)));
    expect([...pixels, spool.pixelsOf('none')]).toEqual([6_000_000, 0, 0, 0]);
    expect((await opened()).pixelsOf(digestOf(known))).toBe(0);
  });

  test('other bytes, fewer and more than announced are refused and leave nothing', async () => {
    const spool = await opened();
    const bytes = Buffer.alloc(3000, 1);
    const refused = (reason: string) => expect.objectContaining({ code: 'INVALID_ARGUMENT', reason });
    await expect(put(spool, bytes, digestOf(Buffer.from('other')))).rejects.toEqual(refused('PICTURE_DIGEST'));
    await expect(put(spool, bytes, digestOf(bytes), 2999)).rejects.toEqual(refused('PICTURE_SIZE'));
    await expect(put(spool, bytes, digestOf(bytes), 3001)).rejects.toEqual(refused('PICTURE_SIZE'));
    expect([spool.pictures, (await readdir(join(directory, 'incoming'))).length]).toEqual([0, 0]);
  });

  test('promises count against the budget until they are used or given back', async () => {
    const spool = await opened(10 * 4096);
    const first = spool.reserve(6 * 4096);
    const full = expect.objectContaining({ code: 'RESOURCE_EXHAUSTED', reason: 'DISK_BUDGET' });
    expect(() => spool.reserve(5 * 4096)).toThrow(full);
    await put(spool, Buffer.alloc(4096));
    first.used(4096);
    expect(() => spool.reserve(5 * 4096)).toThrow(full);
    first.release();
    first.release();
    spool.reserve(9 * 4096);
  });

  test('a picture goes when no job needs it: at once after a purge, later after an unfinished upload', async () => {
    const spool = await opened();
    const [orphan, used] = [await put(spool, Buffer.from('orphan')), await put(spool, Buffer.from('used'))];
    spool.retain([used]);
    expect(await spool.sweep()).toBe(0);
    spool.release([used], false);
    expect(await spool.sweep()).toBe(1);
    expect([spool.sizeOf(orphan), spool.sizeOf(used)]).toEqual([6, undefined]);
    clock.advance(1000);
    expect(await spool.sweep()).toBe(1);
    expect(spool.storedBytes).toBe(0);
    await expect(spool.read(orphan)).rejects.toMatchObject({ code: 'DATA_LOSS', reason: 'PICTURE_LOST' });
  });
});
