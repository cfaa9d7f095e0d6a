import { type Random, seededRandom } from '@meridian/runtime';
import type { Scenario } from './scenario.ts';

/** The tasks of a run by the time they begin. Every policy gets the same ones: they differ in nothing but their choices. */
export interface Workload {
  readonly startMs: Float64Array;
  readonly origin: Uint8Array;
  readonly serviceMs: Float64Array;
  /** Of the picture, beside the mean. */
  readonly size: Float32Array;
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
  const size = sizes(scenario, count, seed);
  return { startMs, origin, serviceMs: serviceTimes(scenario, size, seed), size };
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

/** Lognormal pictures; all alike where size does not matter. */
function sizes({ sizePart }: Scenario, count: number, seed: number): Float32Array {
  const all = new Float32Array(count).fill(1);
  if (sizePart === 0) return all;
  const random = seededRandom(seed * STREAMS + STREAMS - 2);
  return all.map(() => lognormal(random, SIZE_VARIANCE));
}

/** Part of the mean is in proportion to the size; the rest of the variation is chance, so that all of it is as the scenario says. */
function serviceTimes(
  { meanServiceMs, serviceCv, sizePart }: Scenario,
  size: Float32Array,
  seed: number,
): Float64Array {
  const random = seededRandom(seed * STREAMS + STREAMS - 1);
  const chance = (1 + serviceCv ** 2) / (1 + sizePart ** 2 * SIZE_VARIANCE) - 1;
  const times = new Float64Array(size.length);
  for (let task = 0; task < size.length; task++) {
    const expectedMs = meanServiceMs * (1 - sizePart + sizePart * (size[task] as number));
    times[task] = expectedMs * lognormal(random, Math.max(0, chance));
  }
  return times;
}

/** Mean 1. */
function lognormal(random: Random, variance: number): number {
  const ofLogarithm = Math.log(1 + variance);
  const normal = Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
  return Math.exp(Math.sqrt(ofLogarithm) * normal - ofLogarithm / 2);
}

/** Standard deviation ÷ mean of picture sizes is 1: most are small, a few are ten times as large. */
const SIZE_VARIANCE = 1;

/** Sequences of chance of one seed: one for each region, one for the sizes, one for the service times. */
const STREAMS = 1_000;
