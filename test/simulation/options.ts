import type { Chance } from './world/chance.ts';

/** What one run is made of: drawn from its seed, printed when it fails. */
export interface SimulationOptions {
  readonly seed: number;
  readonly regions: readonly string[];
  readonly keys: readonly string[];
  readonly operations: number;
  /** Mean time between two operations of clients. */
  readonly operationGapMs: number;
  readonly clients: number;
  readonly deletions: number;
  readonly loss: number;
  readonly duplicates: number;
  readonly delayMs: number;
  readonly jitterMs: number;
  /** Share of messages that are delayed up to {@link TAIL_MS}. */
  readonly tail: number;
  readonly tickMs: number;
  readonly headIntervalMs: number;
  readonly fetchBytesMax: number | undefined;
  /** Mean time of one input or output of each region's disk. */
  readonly diskMs: readonly number[];
  readonly clockOffsetsMs: readonly number[];
  readonly faults: readonly PlannedFault[];
  /** In the end, when all is quiet, every process starts again, with its clock an hour back. */
  readonly restartsAtRest: boolean;
  /** In the end a record vanishes from a disk unnoticed. */
  readonly rots: boolean;
}

export type PlannedFault =
  | { readonly kind: 'partition'; readonly atMs: number; readonly shape: PartitionShape; readonly forMs: number }
  | {
      readonly kind: 'crash';
      readonly atMs: number;
      readonly point: CrashPoint;
      readonly count: number;
      readonly downMs: number;
    }
  | { readonly kind: 'restore'; readonly atMs: number; readonly ageMs: number; readonly downMs: number }
  | { readonly kind: 'clone'; readonly atMs: number; readonly ageMs: number; readonly keepsFirst: boolean }
  | { readonly kind: 'wipe'; readonly atMs: number; readonly withFolder: boolean; readonly downMs: number }
  | { readonly kind: 'damage'; readonly atMs: number; readonly downMs: number }
  | { readonly kind: 'jump'; readonly atMs: number; readonly byMs: number }
  | { readonly kind: 'freeze'; readonly atMs: number; readonly forMs: number }
  | { readonly kind: 'remove'; readonly atMs: number; readonly addedAfterMs: number | undefined };

export type PartitionShape = 'one-way' | 'total' | 'islands' | 'flapping';

/** Where in its input and output a process can die. */
export const CRASH_POINTS = [
  'append-lost',
  'append-torn',
  'append-durable',
  'append-told',
  'forget-lost',
  'forget-durable',
  'before-publish',
  'amid-publish',
  'before-acknowledge',
  'before-answer',
] as const;
export type CrashPoint = (typeof CRASH_POINTS)[number];

export const FETCH_INTERVAL_MS = 10_000;
export const FETCH_TIMEOUT_MS = 2_000;
export const DRIFT_MS = 500;
export const TAIL_MS = 15_000;
const REGIONS = ['beijing', 'chengdu', 'guangzhou', 'shanghai', 'wuhan'];
const YEARS_10_MS = 10 * 365 * 24 * 3_600_000;

export function drawOptions(seed: number, chance: Chance): SimulationOptions {
  const count = chance.weighted([
    [20, 2],
    [52, 3],
    [16, 4],
    [12, 5],
  ]);
  const regions = REGIONS.slice(0, count);
  const operations = chance.between(60, chance.happens(0.2) ? 200 : 110);
  const operationGapMs = chance.pick([60, 150, 300]);
  const loss = chance.weighted([
    [30, 0],
    [25, 0.01],
    [25, 0.05],
    [20, 0.3],
  ]);
  const clocks = drawClocks(regions, chance);
  return {
    seed,
    regions,
    keys: Array.from({ length: chance.between(1, 5) }, (_, i) => `config/k${i}`),
    operations,
    operationGapMs,
    clients: chance.between(2, 6),
    deletions: chance.pick([0.1, 0.25, 0.5, 0.85]),
    loss,
    duplicates: 0.1,
    delayMs: chance.pick([2, 20, 80]),
    jitterMs: chance.pick([5, 100, 500, 2_000]),
    tail: 0.03,
    tickMs: chance.pick([250, 500, 1_000]),
    headIntervalMs: chance.pick([1_000, 1_000, 2_000]),
    fetchBytesMax: chance.pick([1, 400, undefined]),
    diskMs: regions.map(() => chance.pick([1, 5, 5, 40, 400])),
    clockOffsetsMs: clocks,
    faults: drawFaults(regions.length, operations * operationGapMs, chance),
    restartsAtRest: chance.happens(0.2),
    rots: chance.happens(0.08),
  };
}

/** Most runs have sane clocks: a wrong one hides much of what else could go wrong behind events that wait. */
function drawClocks(regions: readonly string[], chance: Chance): number[] {
  const skews = chance.weighted<readonly number[]>([
    [40, [0]],
    [25, [0, 50, -50]],
    [15, [0, 5_000, -5_000]],
    [8, [0, 3_600_000, -3_600_000]],
    [12, [0, 0, YEARS_10_MS, -YEARS_10_MS]],
  ]);
  return regions.map(() => chance.pick(skews));
}

function drawFaults(regions: number, durationMs: number, chance: Chance): PlannedFault[] {
  const faults: PlannedFault[] = [];
  const at = () => chance.between(0, durationMs);
  const some = (probability: number, most: number, add: () => PlannedFault): void => {
    if (!chance.happens(probability)) return;
    for (let i = chance.between(1, most); i > 0; i--) faults.push(add());
  };
  some(0.6, 4, () => ({
    kind: 'partition',
    atMs: at(),
    shape: chance.pick(['one-way', 'total', 'islands', 'flapping']),
    forMs: chance.pick([1_000, 5_000, 15_000, 40_000]),
  }));
  some(0.6, 5, () => {
    // Deletions are forgotten rarely: not only the third time.
    const point = chance.pick(chance.happens(0.2) ? (['forget-lost', 'forget-durable'] as const) : CRASH_POINTS);
    const count = point.startsWith('forget') ? 1 : chance.between(1, 3);
    return { kind: 'crash', atMs: at(), point, count, downMs: chance.pick([50, 500, 3_000, 12_000]) };
  });
  some(0.15, 2, () => ({
    kind: 'restore',
    atMs: at(),
    ageMs: chance.pick([500, 3_000, 15_000]),
    downMs: chance.pick([50, 3_000]),
  }));
  some(0.1, 1, () => ({
    kind: 'clone',
    atMs: at(),
    ageMs: chance.pick([0, 0, 5_000]),
    keepsFirst: chance.happens(0.5),
  }));
  some(0.14, 2, () => ({
    kind: 'wipe',
    atMs: at(),
    withFolder: chance.happens(0.5),
    downMs: chance.pick([50, 3_000]),
  }));
  some(0.1, 1, () => ({ kind: 'damage', atMs: at(), downMs: chance.pick([50, 3_000]) }));
  some(0.2, 2, () => ({
    kind: 'jump',
    atMs: at(),
    byMs: chance.pick([-100, -5_000, -3_600_000, -YEARS_10_MS, 300, 5_000]),
  }));
  some(0.25, 3, () => ({ kind: 'freeze', atMs: at(), forMs: chance.pick([500, 5_000, 20_000]) }));
  if (regions > 2 && chance.happens(0.35)) {
    const addedAfterMs = chance.happens(0.75) ? chance.between(200, durationMs) : undefined;
    faults.push({ kind: 'remove', atMs: at(), addedAfterMs });
  }
  return faults.sort((a, b) => a.atMs - b.atMs);
}
