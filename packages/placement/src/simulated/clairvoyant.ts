import type { Placing, Sight } from './policy.ts';

/**
 * Knows how long every task will take and when each worker will be free; sends a task where it is answered soonest, whatever
 * that does to the tasks after it. Not the optimum: a greedy choice with perfect knowledge.
 */
export class Clairvoyant implements Placing {
  readonly #sight: Sight;
  /** By region: when each worker is free; Infinity for those that are away. Workers take tasks in the order of placement. */
  readonly #freeMs: readonly Float64Array[];

  constructor(sight: Sight) {
    this.#sight = sight;
    this.#freeMs = sight.names.map((_, j) => new Float64Array(sight.truth.workers[j] ?? 0));
  }

  place(origin: number, nowMs: number, serviceMs: number): number {
    const { regions, roundTripMs } = this.#sight;
    let [best, worker, least] = [origin, -1, Number.POSITIVE_INFINITY];
    for (let j = 0; j < regions; j++) {
      this.#follow(j, nowMs);
      const free = this.#freeMs[j] as Float64Array;
      const first = soonest(free);
      const way = (roundTripMs[origin] as Float64Array)[j] as number;
      const answeredMs = Math.max(nowMs + way / 2, free[first] ?? Number.POSITIVE_INFINITY) + way / 2;
      if (answeredMs < least) [best, worker, least] = [j, first, answeredMs];
    }
    const free = this.#freeMs[best] as Float64Array;
    const way = (roundTripMs[origin] as Float64Array)[best] as number;
    free[worker] = Math.max(nowMs + way / 2, free[worker] as number) + serviceMs;
    return best;
  }

  /** Workers that went away are never free, those that came back are so at once. */
  #follow(region: number, nowMs: number): void {
    const free = this.#freeMs[region] as Float64Array;
    const workers = this.#sight.truth.workers[region] as number;
    for (let at = 0; at < free.length; at++) {
      const away = free[at] === Number.POSITIVE_INFINITY;
      if (at >= workers && !away) free[at] = Number.POSITIVE_INFINITY;
      else if (at < workers && away) free[at] = nowMs;
    }
  }
}

function soonest(free: Float64Array): number {
  let best = 0;
  for (let at = 1; at < free.length; at++) if ((free[at] as number) < (free[best] as number)) best = at;
  return best;
}
