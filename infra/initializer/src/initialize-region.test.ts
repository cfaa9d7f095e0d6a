import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { STREAMS, type StreamName } from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import { initializeRegion, type StreamAdministration } from './initialize-region.ts';

/** Goal: a lost store is never taken for a new region, and a later release's streams are made in an old one. */
const ALL = STREAMS.map(({ name }) => name);
let directory: string;
let identityFile: string;

/** A broker's streams by name. */
class Streams implements StreamAdministration {
  readonly names: Set<StreamName>;

  constructor(names: readonly StreamName[]) {
    this.names = new Set(names);
  }

  createStreams(): Promise<void> {
    for (const name of ALL) this.names.add(name);
    return Promise.resolve();
  }

  async verify(names: readonly StreamName[]): Promise<void> {
    const missing = names.find((name) => !this.names.has(name));
    if (missing !== undefined)
      throw new Failure('FAILED_PRECONDITION', `no stream ${missing}`, { reason: 'STREAM_MISSING' });
  }
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'meridian-identity-'));
  identityFile = join(directory, 'identity.json');
});
afterEach(() => rm(directory, { recursive: true }));

test('the first start makes the streams, later ones find them', async () => {
  const streams = new Streams([]);
  expect(await initializeRegion('beijing', identityFile, streams)).toBe('created');
  expect([...streams.names]).toEqual(ALL);
  expect(await initializeRegion('beijing', identityFile, streams)).toBe('verified');
  await expect(initializeRegion('shanghai', identityFile, streams)).rejects.toMatchObject({
    reason: 'IDENTITY_MISMATCH',
  });
});

test('an identity of a release that had fewer streams: the new ones are made once, lost ones are not', async () => {
  const old = { region: 'beijing', id: 'x', createdAt: '2026-01-01T00:00:00.000Z' };
  await writeFile(identityFile, JSON.stringify(old));
  const lost = new Streams(['TASKS', 'EVENTS', 'STATE', 'AUDIT']);
  await expect(initializeRegion('beijing', identityFile, lost)).rejects.toMatchObject({
    reason: 'REGION_STORE_MISSING',
    message: expect.stringContaining('JOBS'),
  });
  const streams = new Streams(['TASKS', 'EVENTS', 'STATE', 'JOBS', 'AUDIT']);
  expect(await initializeRegion('beijing', identityFile, streams)).toBe('extended');
  expect(streams.names.has('HISTORY')).toBe(true);
  expect(JSON.parse(await readFile(identityFile, 'utf8'))).toMatchObject({
    ...old,
    streams: expect.arrayContaining(ALL),
  });
  streams.names.delete('HISTORY');
  await expect(initializeRegion('beijing', identityFile, streams)).rejects.toMatchObject({
    reason: 'REGION_STORE_MISSING',
  });
});
