import type { Clock } from '@meridian/runtime';

/** Models with a problem that are remembered. */
export const PROBLEMS_MAX = 256;
/** Workers of whom the problems of one model are remembered. */
export const PROBLEM_WORKERS_MAX = 64;
const PROBLEM_CHARS_MAX = 512;

interface Word {
  readonly problem: string;
  readonly untilMs: number;
}

/**
 * Why this region's workers cannot run a model: what each of them says, for as long as it goes on saying so. Not part of the
 * shared state: it is for whoever adds a model here and wonders, and for rolls.
 *
 * 1. A worker takes back only its own word, and one that is gone has none.
 */
export class ModelProblems {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  /** By model, then by worker, longest standing first. */
  readonly #words = new Map<string, Map<string, Word>>();

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  /** @param problem empty: the worker has none with the model, any more */
  report(digest: string, worker: string, problem: string, leaseMs: number): void {
    const words = this.#words.get(digest) ?? new Map<string, Word>();
    this.#words.delete(digest);
    if (problem === '') words.delete(worker);
    else {
      const untilMs = this.#clock.monotonicMs() + leaseMs;
      words.set(worker, { problem: problem.slice(0, PROBLEM_CHARS_MAX).toWellFormed(), untilMs });
      dropFirst(words, PROBLEM_WORKERS_MAX);
    }
    if (words.size > 0) this.#words.set(digest, words);
    dropFirst(this.#words, PROBLEMS_MAX);
  }

  /** Whatever workers said of the model: something has changed that may mend it. They say it again if not. */
  forget(digest: string): void {
    this.#words.delete(digest);
  }

  /** Of the worker that has had one for longest. Empty when no living worker has any. */
  of(digest: string): string {
    const words = this.#words.get(digest);
    if (words === undefined) return '';
    const nowMs = this.#clock.monotonicMs();
    for (const [worker, { untilMs }] of words) if (untilMs <= nowMs) words.delete(worker);
    const [first] = words.values();
    if (first === undefined) this.#words.delete(digest);
    return first?.problem ?? '';
  }
}

function dropFirst(map: Map<string, unknown>, max: number): void {
  const [first] = map.keys();
  if (map.size > max && first !== undefined) map.delete(first);
}
