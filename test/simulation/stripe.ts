import { addCounts, type Counts, noCounts } from './counters.ts';
import { simulate } from './run.ts';

export interface StripeOptions {
  readonly seed: number;
  readonly runs: number;
  /** Every so many-th seed, beginning with the index-th. */
  readonly jobs: number;
  readonly index: number;
}

export interface FoundViolation {
  readonly seed: number;
  readonly property: string;
  readonly message: string;
}

export interface StripeResult {
  readonly counts: Counts;
  readonly violations: readonly FoundViolation[];
  /** Of all runs, in whatever order. */
  readonly hash: string;
  /** Seeds that gave another trace the second time. */
  readonly unequal: readonly number[];
}

const RERUN_EVERY = 200;

export function simulateStripe({ seed, runs, jobs, index }: StripeOptions): StripeResult {
  const counts = noCounts();
  const violations: FoundViolation[] = [];
  const hashes: string[] = [];
  const unequal: number[] = [];
  for (let i = index; i < runs; i += jobs) {
    const result = simulate(seed + i);
    addCounts(counts, result.counts);
    hashes.push(result.hash);
    if (result.violation !== undefined) violations.push({ seed: seed + i, ...result.violation });
    if (i % RERUN_EVERY === 0 && simulate(seed + i).hash !== result.hash) unequal.push(seed + i);
  }
  return { counts, violations, hash: combined(hashes), unequal };
}

/** The same whatever the order and the grouping: a sum. */
export function combined(hashes: readonly string[]): string {
  let sum = 0n;
  for (const hash of hashes) sum += BigInt(`0x${hash}`);
  return BigInt.asUintN(64, sum).toString(16).padStart(16, '0');
}
