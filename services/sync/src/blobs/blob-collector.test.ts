import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createLogger, systemClock, VirtualClock } from '@meridian/runtime';
import { sha256 } from '../region.fixture.ts';
import { BlobCollector } from './blob-collector.ts';
import { BlobStore } from './blob-store.ts';

const GRACE_MS = 3_600_000;
const bytes = Buffer.from('weights');
const digest = `sha256:${sha256(bytes)}`;
let directory: string;
let clock: VirtualClock;
let store: BlobStore;
let named: Set<string>;
let removed: string[];
/** Looks that have ended: each asks what is named, once. */
let looks: number;
let collector: BlobCollector;

beforeEach(async () => {
  [clock, named, removed, looks] = [new VirtualClock(), new Set([digest]), [], 0];
  directory = await mkdtemp(join(tmpdir(), 'meridian-collect-'));
  store = new BlobStore({ directory, readOnlyDirectories: [], bytesMax: 100 });
  await store.start();
  store.reserve(bytes.length);
  const incoming = await store.receive(digest, bytes.length);
  await incoming.append(bytes);
  await incoming.finish();
  const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });
  const blobReplicator = {
    named: () => {
      looks++;
      return named;
    },
    removed: (gone: string) => void removed.push(gone),
  };
  collector = new BlobCollector({ store, blobReplicator, graceMs: GRACE_MS, clock, logger });
  await collector.start();
});

afterEach(async () => {
  await collector.stop();
  await rm(directory, { recursive: true, force: true });
});

/** Minutes pass, with a look in each; the disk takes real time. */
async function pass(minutes: number): Promise<void> {
  for (let i = 0; i < minutes; i++) {
    const before = looks;
    clock.advance(60_000);
    while (looks === before || clock.pendingTimers === 0) await systemClock.sleep(1);
  }
}

test('weights that no model names go after the grace, and their room comes back', async () => {
  await pass(2);
  named.clear();
  await pass(60);
  expect(await store.bytesOf(digest)).toBe(bytes.length);
  await pass(1);
  expect([await store.bytesOf(digest), removed]).toEqual([undefined, [digest]]);
  store.reserve(100)();
});

test('what is named again, or what an upload relies on, stays', async () => {
  named.clear();
  await pass(50);
  named.add(digest);
  await pass(1);
  named.clear();
  await pass(50);
  expect(removed).toEqual([]);
  store.offer(digest);
  await pass(50);
  expect(removed).toEqual([]);
  await pass(20);
  expect(removed).toEqual([digest]);
});
