import { type Beliefs, cheapest } from '../online/cheapest.ts';

/** What a policy may look at. Rows by origin. */
export interface Sight {
  readonly regions: number;
  readonly roundTripMs: readonly Float64Array[];
  /** What each origin believes, as old as messages make it. */
  readonly beliefs: readonly Beliefs[];
  /** What is true now everywhere: for oracles only. Tasks on their way count. */
  readonly truth: Beliefs;
  readonly meanServiceMs: number;
}

/** Chooses a region for a task of an origin. */
export type Policy = (origin: number, sight: Sight) => number;

const everywhere = () => true;

/** The one that runs in production: prices and four times the wait, by stale beliefs. */
export const priced: Policy = (origin, { beliefs }) => cheapest(beliefs[origin] as Beliefs, everywhere);

export const nearest: Policy = (origin) => origin;

/** Least outstanding a worker, known everywhere at once. */
export const leastOutstanding: Policy = (_, { truth }) =>
  argmin(truth.workers.length, (j) => ((truth.outstanding[j] as number) + 1) / (truth.workers[j] as number));

/** Round trip + `weight` × wait, known everywhere at once. */
export function greedy(weight: number): Policy {
  return (origin, { truth, roundTripMs }) => {
    const way = roundTripMs[origin] as Float64Array;
    return cheapest({ ...truth, wayMs: way }, everywhere, weight);
  };
}

function argmin(count: number, cost: (index: number) => number): number {
  let [best, least] = [0, Number.POSITIVE_INFINITY];
  for (let index = 0; index < count; index++) {
    const each = cost(index);
    if (each < least) [best, least] = [index, each];
  }
  return best;
}
