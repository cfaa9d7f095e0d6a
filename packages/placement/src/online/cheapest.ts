/** What an origin knows of a region when it places a task. Columns by region: nothing is allocated for a placement. */
export interface Beliefs {
  /** Round trips and transfer of a usual picture, ms. */
  readonly wayMs: Float64Array;
  /** Of one task, ms. */
  readonly serviceMs: Float64Array;
  readonly workers: Float64Array;
  /** Waiting or worked on there when it last said so. */
  readonly outstanding: Float64Array;
  /** Ours, sent and not counted in that. */
  readonly unseen: Float64Array;
  readonly priceMs: Float64Array;
}

/**
 * Round trips that a task takes to a region and back: its claim there and the worker's announcement back, its picture there and
 * the result back. Inside a region they take no time that counts.
 */
export const TASK_ROUND_TRIPS = 2;

/** Weight of the expected wait: how much more it counts than its own milliseconds, for those who queue behind. */
export const WAIT_WEIGHT = 1.6;

/**
 * The region with the least way + service + size × price + WAIT_WEIGHT × expected wait; the first of equals.
 * @param allows whether the task may run there
 * @param size of the task beside a usual one ({@link TaskSizes})
 * @returns its number; −1 for none
 */
export function cheapest(
  beliefs: Beliefs,
  allows: (region: number) => boolean,
  waitWeight = WAIT_WEIGHT,
  size = 1,
): number {
  let best = -1;
  let least = Number.POSITIVE_INFINITY;
  for (let region = 0; region < beliefs.wayMs.length; region++) {
    if (!allows(region)) continue;
    const costMs = costOf(beliefs, region, waitWeight, size);
    if (costMs < least) {
      least = costMs;
      best = region;
    }
  }
  return best;
}

export function costOf(beliefs: Beliefs, region: number, waitWeight: number, size = 1): number {
  const { wayMs, serviceMs, priceMs } = beliefs;
  const fixedMs = (wayMs[region] as number) + (serviceMs[region] as number) + size * (priceMs[region] as number);
  return fixedMs + waitWeight * expectedWaitMs(beliefs, region);
}

/** Until a worker is free for one more task: those ahead of it beyond the workers, served side by side. */
export function expectedWaitMs({ outstanding, unseen, workers, serviceMs }: Beliefs, region: number): number {
  const servers = workers[region] as number;
  const ahead = (outstanding[region] as number) + (unseen[region] as number) + 1 - servers;
  return ahead <= 0 ? 0 : (ahead / Math.max(servers, WORKERS_MIN)) * (serviceMs[region] as number);
}

/** Keeps the wait finite for a region that reports no worker. */
const WORKERS_MIN = 0.01;
