import type { WorkerLoad } from '@meridian/contracts/collector';
import type { ClaimsAhead as ClaimsAheadReport } from '@meridian/contracts/telemetry';

/** How many claims one worker takes ahead of its slots' work, and what it decides that by. */
export interface ClaimsAhead {
  readonly claims: number;
  readonly fetchMs: number;
  readonly serviceMs: number;
}

/** The most that a worker can be configured to. */
const CLAIMS_MAX = 1_024;
const TIME_MAX_MS = 600_000;

/** What a worker of the own region says of it. Undefined: it has not measured it; `absurd`: it cannot be true. */
export function readClaimsAhead({
  claimsAhead,
  fetchMs,
  serviceMs,
}: Pick<WorkerLoad, 'claimsAhead' | 'fetchMs' | 'serviceMs'>): ClaimsAhead | 'absurd' | undefined {
  if (claimsAhead === 0) return undefined;
  const isPossible = claimsAhead <= CLAIMS_MAX && isTime(fetchMs) && isTime(serviceMs);
  return isPossible ? { claims: claimsAhead, fetchMs, serviceMs } : 'absurd';
}

/** Of a region's workers together, for its load report. Undefined: none has measured. */
export function claimsAheadOf(all: readonly ClaimsAhead[]): Omit<ClaimsAheadReport, '$typeName'> | undefined {
  if (all.length === 0) return undefined;
  return {
    workers: all.length,
    claims: all.reduce((sum, { claims }) => sum + claims, 0),
    fetchMs: median(all.map(({ fetchMs }) => fetchMs)),
    serviceMs: median(all.map(({ serviceMs }) => serviceMs)),
  };
}

/** False for what is not a number, too. */
function isTime(ms: number): boolean {
  return ms >= 0 && ms <= TIME_MAX_MS;
}

/** Of an even count the mean of the two in the middle. */
function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [(sorted.length - 1) >> 1, sorted.length >> 1];
  return ((sorted[low] as number) + (sorted[high] as number)) / 2;
}
