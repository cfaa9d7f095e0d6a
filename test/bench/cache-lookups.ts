import { hash, randomBytes } from 'node:crypto';
import { systemClock } from '@meridian/runtime';
import { cacheKey, ENTRY_OVERHEAD_BYTES, ResultCache } from '@meridian/scheduler';
import type { Row } from './report.ts';

const ENTRIES = 100_000;
const LOOKUPS = 500_000;
const DIGESTS = 2_000;
const PICTURE_BYTES = 110_000;
const MODEL_DIGEST = `sha256:${'ab'.repeat(32)}`;

/** The cache alone, in this process: lookups with their key built, and what goes before, the digest of a picture. */
export function lookups(resultBytes: number): Row[] {
  const cache = new ResultCache({ bytesMax: 2 ** 30, entriesMax: ENTRIES, ttlMs: 3_600_000 }, () => undefined);
  const digests = Array.from({ length: ENTRIES }, () => randomBytes(32));
  const keyOf = (pictureDigest: Uint8Array) =>
    cacheKey({ tenant: 'public', modelDigest: MODEL_DIGEST, pictureDigest, parameters: {} });
  const value = (i: number) => ({
    ...{ result: new Uint8Array(resultBytes), tenant: 'public', taskId: `beijing-1-1-${i}`, computedUnixMs: 0 },
    versionVector: 'beijing@0000000000001234=7',
  });
  for (const [i, digest] of digests.entries()) cache.put(keyOf(digest), value(i), 0);
  const picture = randomBytes(PICTURE_BYTES);
  const lookupMs = timed(LOOKUPS, (i) => {
    const found = cache.get(keyOf(digests[(i * 7919) % ENTRIES] as Uint8Array), 1);
    if (found === undefined) throw new Error('not found');
  });
  const digestMs = timed(DIGESTS, () => void hash('sha256', picture, 'buffer'));
  return [
    {
      ...{ metric: 'cache_lookups_per_second', value: 1000 / lookupMs, unit: '1/s', goal: '' },
      peers: { entries: cache.size, 'digest of 110 KB, a second': 1000 / digestMs },
    },
    {
      ...{ metric: 'cache_entry_bytes', value: cache.bytes / cache.size, unit: 'B', goal: '' },
      peers: { 'of it overhead': ENTRY_OVERHEAD_BYTES, 'encoded result': resultBytes },
    },
  ];
}

function timed(times: number, what: (i: number) => void): number {
  const startedMs = systemClock.monotonicMs();
  for (let i = 0; i < times; i++) what(i);
  return (systemClock.monotonicMs() - startedMs) / times;
}
