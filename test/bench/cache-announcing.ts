import { seededRandom } from '@meridian/runtime';
import { cacheKey, ResultCache } from '@meridian/scheduler';
import type { Row } from './report.ts';

const REGIONS = 3;
const REQUESTS = 150_000;
const PICTURES = 200_000;
/** Of the requests for a picture that all regions share; the others are for the region's own. */
const COMMON_SHARES = [0, 0.05, 0.3] as const;
const ZIPF = 0.8;
/** What one region remembers: 5 % of the pictures, or all. */
const FULL = PICTURES / 20;
const ROOM_FOR_ALL = 2 * PICTURES;

/**
 * Whether telling other regions of each answer is worth it: regions whose requests follow Zipf's law, a part of them for
 * pictures that are asked for everywhere. Hits with each region's answers told to all, less those without.
 */
export function announcing(entryBytes: number): Row[] {
  return COMMON_SHARES.map((share): Row => {
    const [alone, told] = [hitShare(share, FULL, false), hitShare(share, FULL, true)];
    const roomyGain = hitShare(share, ROOM_FOR_ALL, true) - hitShare(share, ROOM_FOR_ALL, false);
    const announcements = (REGIONS - 1) * (1 - told);
    return {
      ...{ metric: `cache_announcing_gain_common_${Math.round(100 * share)}_percent_ratio`, unit: 'ratio', goal: '' },
      value: told - alone,
      peers: {
        'hits without': alone,
        'hits with': told,
        'gain with room for all': roomyGain,
        'bytes a request': announcements * entryBytes,
      },
    };
  });
}

/** Part of the requests that are answered from memory, in the second half, when the caches are full. */
function hitShare(commonShare: number, entriesMax: number, announce: boolean): number {
  const random = seededRandom(7);
  const limits = { bytesMax: 2 ** 30, entriesMax, ttlMs: 3_600_000 };
  const caches = Array.from({ length: REGIONS }, () => new ResultCache(limits, () => undefined));
  const value = { result: new Uint8Array(0), tenant: 'public', taskId: '', versionVector: '', computedUnixMs: 0 };
  let hits = 0;
  for (let i = 0; i < REQUESTS; i++) {
    const region = i % REGIONS;
    const owner = random.next() < commonShare ? 'all' : `${region}`;
    const rank = Math.floor(PICTURES * random.next() ** (1 / (1 - ZIPF)));
    const question = { tenant: owner, pictureDigest: Buffer.from(`${rank}`), modelDigest: '', parameters: {} };
    const key = cacheKey(question);
    if (caches[region]?.get(key, i / 100) !== undefined) hits += i >= REQUESTS / 2 ? 1 : 0;
    else for (const [to, cache] of caches.entries()) if (announce || to === region) cache.put(key, value, i / 100);
  }
  return hits / (REQUESTS / 2);
}
