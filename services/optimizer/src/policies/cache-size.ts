import type { CacheFacts } from '../reports/facts.ts';

export interface CacheDecision {
  /** Undefined: nothing is known that would change it. */
  readonly bytes: number | undefined;
  readonly ttlMs: number;
  readonly reason: string;
}

const MIB = 2 ** 20;
/** Fewer a second say nothing. */
const LOOKUPS_MIN = 0.1;
/** Below this share of hits more room would hold more of what nobody asks for again. */
const HITS_MIN = 0.02;
const SECOND_MS = 1_000;

/**
 * Room for the answers of one time to live, where callers ask again: by Little's law new answers a second × their time ×
 * their bytes. The time to live bounds memory only: an answer is kept under the version of the model that gave it, so it never
 * gets old.
 */
export function cacheSize(facts: CacheFacts): CacheDecision {
  const { bytesMax, bytes, entries, ttlMs, hitsPerSecond, missesPerSecond, evictionsPerSecond } = facts;
  const lookups = hitsPerSecond + missesPerSecond;
  const keep = (reason: string): CacheDecision => ({ bytes: undefined, ttlMs, reason });
  if (lookups < LOOKUPS_MIN || entries === 0) return keep(`${two(lookups)} lookups a second say nothing yet`);
  const entryBytes = bytes / entries;
  const neededBytes = Math.ceil((missesPerSecond * (ttlMs / SECOND_MS) * entryBytes) / MIB) * MIB;
  const hits = hitsPerSecond / lookups;
  const asked = `${Math.round(100 * hits)} % of ${two(lookups)} lookups a second are hits`;
  const written = `${two(missesPerSecond)} new answers of ${Math.round(entryBytes)} B a second for ${ttlMs / SECOND_MS} s`;
  if (hits < HITS_MIN) return keep(`${asked}: more room would hold what nobody asks for again`);
  if (evictionsPerSecond === 0 || neededBytes <= bytesMax)
    return { bytes: Math.max(neededBytes, MIB), ttlMs, reason: `${asked}; ${written} need no more` };
  const livesS = bytesMax / entryBytes / missesPerSecond;
  const reason = `${asked}, but answers leave after ${two(livesS)} s for want of room; ${written} need more`;
  return { bytes: neededBytes, ttlMs, reason };
}

function two(value: number): number {
  return Number(value.toPrecision(2));
}
