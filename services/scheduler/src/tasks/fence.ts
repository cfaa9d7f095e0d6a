import { assert } from '@meridian/failure';

/**
 * Fences order the attempts of a task over restarts of its owner: fence = term · 2^20 + attempt. The term is a durable
 * counter that the owner raises at each start, so a restarted owner's first fence is above all that it gave before.
 */
export const ATTEMPTS_PER_TERM = 2 ** 20;
/** Keeps fences safe integers: 2^33 starts. */
const TERM_MAX = 2 ** 33 - 1;

export function fenceOf(term: number, attempt: number): number {
  assert(Number.isInteger(term) && term >= 1 && term <= TERM_MAX, `term ${term} is in 1 … 2^33 − 1`);
  assert(Number.isInteger(attempt) && attempt >= 1 && attempt < ATTEMPTS_PER_TERM, `attempt ${attempt} is below 2^20`);
  return term * ATTEMPTS_PER_TERM + attempt;
}

export function attemptOf(fence: number): number {
  return fence % ATTEMPTS_PER_TERM;
}
