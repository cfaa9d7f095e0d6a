import type { Random } from '@meridian/runtime';
import type { Beliefs } from '../online/cheapest.ts';

/** What a policy may look at. Rows by origin. */
export interface Sight {
  readonly regions: number;
  readonly names: readonly string[];
  readonly roundTripMs: readonly Float64Array[];
  /** What each origin believes, as old as messages make it. */
  readonly beliefs: readonly Beliefs[];
  /** What is true now everywhere: for oracles only. Tasks on their way count. */
  readonly truth: Beliefs;
  readonly meanServiceMs: number;
  /** Standard deviation ÷ mean. */
  readonly serviceCv: number;
}

/** A way to choose regions. */
export interface Policy {
  readonly name: string;
  /** Before the first task; what the policy remembers of a run lives in what it returns. */
  readonly begin: (sight: Sight, random: Random) => Placing;
}

export interface Placing {
  /**
   * @param serviceMs of this very task: for oracles only
   * @param size of its picture beside the mean
   * @returns the region that runs it
   */
  place(origin: number, nowMs: number, serviceMs: number, size: number): number;
  /** An origin has got a result: how long a worker had it. */
  learn?(origin: number, size: number, serviceMs: number): void;
}
