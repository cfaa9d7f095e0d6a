import { randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { BlobAsk } from '@meridian/contracts/blob';
import { systemClock } from '@meridian/runtime';
import { openDoor } from '../door.fixture.ts';
import { REGIONS, Regions, type RunningRegion, sha256, until } from '../region.fixture.ts';

/**
 * Goal: weights that were added in one region get to the others, once and verified, whatever becomes of sources and of
 * the process that fetches. Method: the parts of three regions on brokers in memory, with real folders.
 */
const MIB = 2 ** 20;
/** Slow enough to do something in the middle. */
const SLOW = { MERIDIAN_BLOB_BYTES_PER_SECOND_MAX: `${2 * MIB}` };
const weights = randomBytes(3 * MIB + 17);
const name = sha256(weights);
let regions: Regions;

beforeEach(async () => {
  regions = await Regions.prepare();
});

afterEach(() => regions.stop());

const folder = (region: string) => join(regions.directory, region, 'blobs');

async function untilHere(region: string, bytes = weights): Promise<void> {
  const file = sha256(bytes);
  while (!(await readdir(folder(region))).includes(file)) await systemClock.sleep(5);
  expect((await readFile(join(folder(region), file))).equals(bytes)).toBe(true);
  expect(await readdir(join(folder(region), '.partial'))).toEqual([]);
}

const bytesOf = (asks: readonly BlobAsk[]) => asks.reduce((sum, { maxBytes }) => sum + maxBytes, 0);
const offsetsOf = (asks: readonly BlobAsk[]) => asks.map(({ offset }) => Number(offset));

async function startAll(): Promise<readonly [RunningRegion, RunningRegion, RunningRegion]> {
  const all = await Promise.all(REGIONS.map((region) => regions.start(region)));
  return all as [RunningRegion, RunningRegion, RunningRegion];
}

describe('a region that is removed', () => {
  const change = (by: RunningRegion, action: 'add' | 'remove') =>
    by.replicator.changeMember('guangzhou', action, { timeoutMs: 5_000, author: 'operator/1' });

  test('is not asked and gets nothing; added again it gets what came meanwhile, and is listed', async () => {
    const [beijing, shanghai] = await startAll();
    const asks = regions.asksTo('guangzhou');
    await change(beijing, 'remove');
    await until(() => !shanghai.members.active.includes('guangzhou') || 'shanghai has not heard of it');
    await regions.add(beijing, 'own', weights);
    await untilHere('shanghai');
    const ask = { digest: `sha256:${name}`, offset: 0n, maxBytes: 1 };
    await expect(regions.ask('guangzhou', 'beijing', ask)).rejects.toMatchObject({ reason: 'NOT_A_MEMBER' });
    const door = openDoor(beijing);
    expect([asks.length, door.models().regions]).toEqual([0, ['beijing', 'shanghai']]);
    await until(() => change(beijing, 'add').then(() => true, String));
    await until(async () => (await readdir(folder('guangzhou'))).includes(name) || 'the weights have not come', 20_000);
    expect(door.models().regions).toEqual(['beijing', 'guangzhou', 'shanghai']);
    door.close();
  }, 60_000);
});

describe('a model that one region takes in', () => {
  test('has its weights everywhere soon after, every byte asked for once, and nothing is asked again at a restart', async () => {
    const [beijing, shanghai] = await startAll();
    const asks = regions.asksTo('beijing');
    await regions.add(beijing, 'own', weights);
    for (const region of ['shanghai', 'guangzhou']) await untilHere(region);
    expect(bytesOf(asks)).toBe(2 * weights.length);
    await shanghai.stop();
    const again = await regions.start('shanghai');
    expect(await again.blobs.bytesOf(`sha256:${name}`)).toBe(weights.length);
    await regions.add(beijing, 'other', Buffer.from('small'));
    for (const region of ['shanghai', 'guangzhou']) await untilHere(region, Buffer.from('small'));
    expect(offsetsOf(asks).filter((offset) => offset === 0)).toHaveLength(2 + 2);
  });

  test('whose region goes away in the middle: another one gives the rest, from where it was', async () => {
    const [beijing] = await Promise.all(['beijing', 'guangzhou'].map((region) => regions.start(region)));
    await regions.add(beijing as RunningRegion, 'own', weights);
    await untilHere('guangzhou');
    const gone = Promise.withResolvers<void>();
    const first = regions.asksTo('beijing', ({ length }) => {
      if (length === 6) gone.resolve(beijing?.stop());
    });
    const second = regions.asksTo('guangzhou');
    await regions.start('shanghai', SLOW);
    await gone.promise;
    await untilHere('shanghai');
    expect(offsetsOf(first)[0]).toBe(0);
    expect(offsetsOf(second)[0]).toBeGreaterThan(0);
    // What was under way at the time is asked for again, no more.
    expect(bytesOf(first) + bytesOf(second)).toBeLessThanOrEqual(weights.length + 8 * 256 * 1024);
    expect(bytesOf(second)).toBeLessThan(weights.length);
  });

  test('whose link is cut in the middle: another one gives the rest', async () => {
    const [beijing] = await Promise.all(['beijing', 'guangzhou'].map((region) => regions.start(region)));
    await regions.add(beijing as RunningRegion, 'own', weights);
    await untilHere('guangzhou');
    regions.asksTo('beijing', ({ length }) => {
      if (length === 6) regions.broker.setReachable('shanghai', 'beijing', false);
    });
    const second = regions.asksTo('guangzhou');
    await regions.start('shanghai', SLOW);
    await untilHere('shanghai');
    expect(offsetsOf(second)[0]).toBeGreaterThan(0);
  });

  test('whose weights are damaged in one region come from another', async () => {
    const [beijing] = await Promise.all(['beijing', 'guangzhou'].map((region) => regions.start(region)));
    await regions.add(beijing as RunningRegion, 'own', weights);
    await untilHere('guangzhou');
    await writeFile(join(folder('beijing'), name), randomBytes(weights.length));
    const first = regions.asksTo('beijing');
    const second = regions.asksTo('guangzhou');
    await regions.start('shanghai');
    await untilHere('shanghai');
    expect([bytesOf(first), bytesOf(second)]).toEqual([weights.length, weights.length]);
  });

  test('goes on after a restart in the middle', async () => {
    const beijing = await regions.start('beijing', { MERIDIAN_PEER_WAIT_MS: '0' });
    await regions.add(beijing, 'own', weights);
    const stopped = Promise.withResolvers<void>();
    const asks = regions.asksTo('beijing', ({ length }) => {
      if (length === 6) stopped.resolve(shanghai.stop());
    });
    const shanghai = await regions.start('shanghai', { ...SLOW, MERIDIAN_PEER_WAIT_MS: '200' });
    await stopped.promise;
    const before = asks.length;
    await regions.start('shanghai', { MERIDIAN_PEER_WAIT_MS: '200' });
    await untilHere('shanghai');
    const [resumed = 0] = offsetsOf(asks.slice(before));
    expect(resumed).toBeGreaterThan(0);
    expect(bytesOf(asks.slice(before))).toBe(weights.length - resumed);
  });

  test('that does not fit leaves the region running, which says why; nothing was asked for', async () => {
    const [beijing, guangzhou] = await Promise.all([
      regions.start('beijing'),
      regions.start('guangzhou', { MERIDIAN_BLOB_BYTES_MAX: `${2 * MIB}` }),
      regions.start('shanghai'),
    ]);
    const asks = regions.asksTo('beijing');
    const { modelDigest } = await regions.add(beijing, 'own', weights);
    await until(() => guangzhou.blobReplicator.problemOf(modelDigest).includes('do not fit') || 'no problem yet');
    await untilHere('shanghai');
    expect(bytesOf(asks)).toBe(weights.length);
    await regions.add(beijing, 'small', Buffer.from('small'));
    await untilHere('guangzhou', Buffer.from('small'));
    expect(guangzhou.failures).toEqual([]);
  });
});

test('questions for what is not there, of a wrong size or from a stranger are refused', async () => {
  const beijing = await regions.start('beijing', { MERIDIAN_PEER_WAIT_MS: '0' });
  const { digest } = await regions.add(beijing, 'own', Buffer.from('small'));
  const ask = (of: string, offset: number, maxBytes: number, region: string) =>
    regions.ask(region, 'beijing', { digest: of, offset: BigInt(offset), maxBytes });
  const { chunk, totalBytes } = await ask(digest, 1, 2, 'guangzhou');
  expect([Buffer.from(chunk).toString(), totalBytes]).toEqual(['ma', 5n]);
  const table: [string, number, number, string, object][] = [
    [`sha256:${'0'.repeat(64)}`, 0, 1, 'shanghai', { code: 'NOT_FOUND', reason: 'BLOB_NOT_HERE' }],
    ['../../etc/passwd', 0, 1, 'shanghai', { reason: 'DIGEST_INVALID' }],
    [digest, 6, 1, 'shanghai', { reason: 'OFFSET_INVALID' }],
    [digest, 2 ** 60, 1, 'shanghai', { reason: 'OFFSET_INVALID' }],
    [digest, 0, 0, 'shanghai', { reason: 'CHUNK_SIZE' }],
    [digest, 0, 256 * 1024 + 1, 'shanghai', { reason: 'CHUNK_SIZE' }],
    [digest, 0, 1, 'elsewhere', { reason: 'NOT_A_MEMBER' }],
  ];
  for (const [of, offset, maxBytes, region, failure] of table)
    await expect(ask(of, offset, maxBytes, region)).rejects.toMatchObject(failure);
});
