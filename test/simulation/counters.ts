import { CRASH_POINTS } from './options.ts';

/** What must have happened at least once in a large number of runs: a fault that never came tests nothing. */
const REQUIRED = [
  ...CRASH_POINTS.map((point) => `crashes ${point}` as const),
  'torn tails',
  'partitions healed',
  'restores',
  'wipes',
  'damaged records',
  'clones',
  'clones detected',
  'removals sealed',
  're-adds',
  'new epochs',
  'epochs sealed',
  'concurrent siblings',
  'tombstones collected',
  'late duplicates after collection',
  'held timestamps',
  'whole-range answers',
  'rotten records',
  'restarts at rest',
  'stale answers',
  'freezes',
  'clock jumps',
  'acknowledged writes',
  'acknowledged writes lost with their store',
] as const;
export type Counter = (typeof REQUIRED)[number];

export type Counts = Record<Counter, number>;

export function noCounts(): Counts {
  return Object.fromEntries(REQUIRED.map((counter) => [counter, 0])) as Counts;
}

export function addCounts(sum: Counts, more: Counts): void {
  for (const counter of REQUIRED) sum[counter] += more[counter];
}

export function neverCounted(counts: Counts): Counter[] {
  return REQUIRED.filter((counter) => counts[counter] === 0);
}
