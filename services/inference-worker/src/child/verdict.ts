import type { TaskFailure } from '../claims/held-claim.ts';

/**
 * Whose fault it is when a child ends, and what happens to the pictures that it had.
 *
 * 1. A hang is the oldest picture's: the child answers in order of arrival, so the oldest is the one in work.
 * 2. A crash or a silence can be any one's: with a single picture it is that one's; of several, each is a suspect and
 *    runs again alone, so that an innocent one never takes the blame.
 * 3. No picture runs more than RUNS_MAX times here.
 */
export type ChildEnd =
  /** The oldest picture took longer than its model allows. */
  | 'hung'
  /** The process ended by itself, or somebody killed it. */
  | 'crashed'
  /** The process did not answer for too long: stopped, or starved. */
  | 'silent'
  /** Ended on purpose, with nothing to do. */
  | 'recycled';

export interface Running {
  /** Times that it was sent to a child, this one included. */
  readonly runs: number;
}

export interface Verdict<T> {
  readonly guilty: readonly { readonly task: T; readonly failure: TaskFailure }[];
  /** To run again, in this order. */
  readonly again: readonly T[];
  /** Those of `again` that must run alone. */
  readonly suspects: ReadonlySet<T>;
}

const RUNS_MAX = 5;

export const HUNG: TaskFailure = {
  code: 'INTERNAL',
  reason: 'PICTURE_HUNG_WORKER',
  message: 'the model did not finish the picture in time; its process was ended',
  retryable: true,
};

export const CRASHED: TaskFailure = {
  code: 'INTERNAL',
  reason: 'PICTURE_CRASHED_WORKER',
  message: 'the inference process ended while it worked on the picture',
  retryable: true,
};

/** @param inFlight oldest first */
export function verdict<T extends Running>(end: ChildEnd, inFlight: readonly T[]): Verdict<T> {
  const failure = end === 'crashed' ? CRASHED : HUNG;
  const [oldest, ...others] = inFlight;
  if (oldest === undefined) return { guilty: [], again: [], suspects: new Set() };
  const tired = (task: T) => task.runs >= RUNS_MAX;
  const blame = (tasks: readonly T[]) => tasks.map((task) => ({ task, failure }));
  if (end === 'recycled') return { guilty: [], again: inFlight, suspects: new Set() };
  if (end === 'hung' || others.length === 0)
    return {
      guilty: blame([oldest, ...others.filter(tired)]),
      again: others.filter((task) => !tired(task)),
      suspects: new Set(),
    };
  const again = inFlight.filter((task) => !tired(task));
  return { guilty: blame(inFlight.filter(tired)), again, suspects: new Set(again) };
}
