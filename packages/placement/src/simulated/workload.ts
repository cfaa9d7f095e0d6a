import { seededRandom } from '@meridian/runtime';
import type { Scenario } from './scenario.ts';

/** The tasks of a run by the time they begin. Every policy gets the same ones: they differ in nothing but their choices. */
export interface Workload {
  readonly startMs: Float64Array;
  readonly origin: Uint8Array;
  readonly serviceMs: Float64Array;
}

/** Poisson arrivals in each region and lognormal service times. The same scenario and seed give the same tasks. */
export function drawWorkload(scenario: Scenario, seed: number): Workload {
  const starts = scenario.regions.map((_, i) => arrivals(scenario, i, seed));
  const count = starts.reduce((sum, each) => sum + each.length, 0);
  const startMs = new Float64Array(count);
  const origin = new Uint8Array(count);
  const next = starts.map(() => 0);
  for (let task = 0; task < count; task++) {
    let first = -1;
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < starts.length; i++) {
      const at = (starts[i] as Float64Array)[next[i] as number] ?? Number.POSITIVE_INFINITY;
      if (at < least) [first, least] = [i, at];
    }
    startMs[task] = least;
    origin[task] = first;
    next[first] = (next[first] as number) + 1;
  }
  return { startMs, origin, serviceMs: serviceTimes(scenario, count, seed) };
}

/** By thinning: candidates come at the highest rate, each counts with the chance of its time. */
function arrivals({ demand, demandMax, durationMs }: Scenario, origin: number, seed: number): Float64Array {
  const random = seededRandom(seed * STREAMS + origin);
  const most = demandMax(origin);
  const starts: number[] = [];
  if (most === 0) return new Float64Array(0);
  let atMs = 0;
  for (;;) {
    atMs -= (Math.log(1 - random.next()) * 1_000) / most;
    if (atMs >= durationMs) return Float64Array.from(starts);
    if (random.next() * most <= demand(origin, atMs)) starts.push(atMs);
  }
}

function serviceTimes({ meanServiceMs, serviceCv }: Scenario, count: number, seed: number): Float64Array {
  const random = seededRandom(seed * STREAMS + STREAMS - 1);
  const variance = Math.log(1 + serviceCv * serviceCv);
  const deviation = Math.sqrt(variance);
  const times = new Float64Array(count);
  for (let task = 0; task < count; task++) {
    const normal = Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
    times[task] = meanServiceMs * Math.exp(deviation * normal - variance / 2);
  }
  return times;
}

/** Sequences of chance of one seed: one for each region, one for the service times. */
const STREAMS = 1_000;
