import { Failure } from '@meridian/failure';
import { isWorthDownscaling } from '../decisions/payload-form.ts';
import type { Waiting } from './waiting.ts';

/** In the order in which demand is given up when there is too much of it: the last first. */
export const CLASSES = ['high', 'normal', 'low'] as const;
export type PriorityClass = (typeof CLASSES)[number];

/**
 * The placement problem (docs/placement.md): who runs whose tasks, so that all answers together come soonest.
 *
 * Notation
 *   i          source: tasks of one origin, model, priority class and set of allowed regions
 *   j          region that runs tasks
 *   λ_i        tasks a second of source i
 *   w_i        worker-seconds of the reference model that one of its tasks takes
 *   d_ij       round trips of a task from the origin of i to j and back, ms; transfer_ij: its picture as sent, ms
 *   service_ij w_i ÷ speed of a worker of j, ms
 *   μ_j        capacity of j: worker-seconds of the reference model a second
 *   x_ij       share of source i that j runs; s_i: share that nobody runs
 *   u_j        load of j: Σ_i λ_i w_i x_ij
 *   b_j        bytes a second that j can take from elsewhere; bytes_ij: of one picture of i in the form that is sent there
 *
 * minimise   Σ_ij λ_i x_ij (d_ij + transfer_ij + service_ij) + Σ_j wait_j(u_j) + Σ_i λ_i w_i s_i shed(class of i)
 * where      Σ_j x_ij + s_i = 1          every task is placed or given up
 *            u_j ≤ 0.98 μ_j              no region is asked for more than it can do
 *            Σ_i λ_i x_ij bytes_ij ≤ b_j over sources of other origins: what a region's own users send costs no link
 *            x_ij = 0                    where i may not run
 *            x, s ≥ 0
 *
 * wait_j is the waiting time of all tasks of a second together, convex in u_j and whatever the mix of sizes: the model counts
 * worker-seconds, so that all models share one capacity. A worker-second of a class costs more to give up than any way of
 * running it, and than any rearrangement of lower classes: demand is given up by priority, and only when it must be.
 */
export interface PlanProblem extends Waiting {
  /** By distinct names. */
  readonly regions: readonly PlanRegion[];
  readonly sources: readonly PlanSource[];
  /** From an origin to a region; the region itself included. `undefined`: there is no way. */
  readonly way: (origin: string, region: string) => Way | undefined;
}

export interface PlanRegion {
  readonly name: string;
  /** μ: worker-seconds of the reference model a second, ≥ 0. */
  readonly capacity: number;
  /** Workers that share it, ≥ 1; one does `capacity / workers`. */
  readonly workers: number;
  /** b: what it can take from other regions together, megabits a second, ≥ 0; Infinity for no bound. */
  readonly bandwidthMbps: number;
}

export interface PlanSource {
  readonly origin: string;
  readonly model: string;
  readonly priority: PriorityClass;
  /** Regions in which its tasks may run; undefined: all. Names of others allow nothing. */
  readonly allowed: ReadonlySet<string> | undefined;
  /** λ ≥ 0. */
  readonly tasksPerSecond: number;
  /** w > 0: worker-seconds of the reference model for one task. */
  readonly taskCost: number;
  /** Of one picture, ≥ 0. */
  readonly pictureBytes: number;
  /**
   * Of large pictures: bytes when they are downscaled at their origin, ≥ 1, and what that takes, ms. By the rule of schedulers,
   * `isWorthDownscaling`, each way decides which form is sent on it. undefined: all go as they came.
   */
  readonly downscaling?: { readonly bytes: number; readonly takesMs: number } | undefined;
}

export interface Way {
  /** d: of all round trips that a task takes, which are two of what is measured. */
  readonly roundTripMs: number;
  /** Infinity inside a region. */
  readonly bandwidthMbps: number;
}

/** d + transfer: milliseconds that a task of the source spends on the way, there and back. */
export function wayMs({ roundTripMs, bandwidthMbps }: Way, pictureBytes: number): number {
  return roundTripMs + (pictureBytes * 8) / (bandwidthMbps * 1_000);
}

/** What is sent on a way for one task: bytes, and {@link wayMs} with the time of making them so. */
export function sentOn(
  { pictureBytes, downscaling }: Pick<PlanSource, 'pictureBytes' | 'downscaling'>,
  way: Way,
): { readonly bytes: number; readonly wayMs: number } {
  if (downscaling === undefined) return { bytes: pictureBytes, wayMs: wayMs(way, pictureBytes) };
  const { bytes, takesMs } = downscaling;
  return isWorthDownscaling(pictureBytes, bytes, takesMs, way.roundTripMs, way.bandwidthMbps)
    ? { bytes, wayMs: takesMs + wayMs(way, bytes) }
    : { bytes: pictureBytes, wayMs: wayMs(way, pictureBytes) };
}

/** @throws Failure INVALID_ARGUMENT / PLAN_INPUT_INVALID that names the value. Not retryable. */
export function requireValid({ regions, sources, variation, waitPart }: PlanProblem): void {
  const names = new Set<string>();
  if (regions.length * sources.length > LANES_MAX)
    throw invalid(`${sources.length} sources in ${regions.length} regions are more than ${LANES_MAX} lanes`);
  within(variation, 0, 100, 'variation');
  within(waitPart, WAIT_PART_MIN, 1, 'part of waiting');
  for (const { name, capacity, workers, bandwidthMbps } of regions) {
    if (names.has(name)) throw invalid(`there are two regions ${name}`);
    names.add(name);
    within(capacity, 0, RATE_MAX, `capacity of ${name}`);
    within(workers, 1, WORKERS_MAX, `workers of ${name}`);
    if (!Number.isInteger(workers)) throw invalid(`workers of ${name}: ${workers} is not whole`);
    within(bandwidthMbps, 0, Number.POSITIVE_INFINITY, `bandwidth of ${name}`);
  }
  for (const { origin, model, priority, tasksPerSecond, taskCost, pictureBytes, downscaling } of sources) {
    const of = `${model} from ${origin}`;
    if (!CLASSES.includes(priority)) throw invalid(`priority of ${of}: ${priority} is none of ${CLASSES.join(', ')}`);
    within(tasksPerSecond, 0, RATE_MAX, `tasks a second of ${of}`);
    within(taskCost, TASK_COST_MIN, RATE_MAX, `cost of a task of ${of}`);
    within(pictureBytes, 0, Number.MAX_SAFE_INTEGER, `picture bytes of ${of}`);
    if (downscaling === undefined) continue;
    within(downscaling.bytes, 1, Number.MAX_SAFE_INTEGER, `downscaled bytes of ${of}`);
    within(downscaling.takesMs, 0, Number.MAX_SAFE_INTEGER, `downscaling of ${of}`);
  }
}

/** @throws Failure INVALID_ARGUMENT / PLAN_INPUT_INVALID. Not retryable. */
export function requireWay({ roundTripMs, bandwidthMbps }: Way, origin: string, region: string): void {
  within(roundTripMs, 0, ROUND_TRIPS_MAX_MS, `round trip from ${origin} to ${region}`);
  within(bandwidthMbps, BANDWIDTH_MIN_MBPS, Number.POSITIVE_INFINITY, `bandwidth from ${origin} to ${region}`);
}

const ROUND_TRIPS_MAX_MS = 120_000;
/** A link with less is none. */
const BANDWIDTH_MIN_MBPS = 1e-3;

/** Sources × regions: what is solved within seconds. */
const LANES_MAX = 400_000;
/** More than the fleets of all regions together have; absurd values end here. */
const RATE_MAX = 1e6;
const WORKERS_MAX = 10_000;
/** Waiting that counts for nothing would fill regions to the brim. */
const WAIT_PART_MIN = 0.01;
/** A microsecond of the reference worker. */
const TASK_COST_MIN = 1e-6;

function within(value: number, min: number, max: number, what: string): void {
  if (!(value >= min && value <= max)) throw invalid(`${what}: ${value} is not between ${min} and ${max}`);
}

function invalid(message: string): Failure {
  return new Failure('INVALID_ARGUMENT', message, { reason: 'PLAN_INPUT_INVALID' });
}
