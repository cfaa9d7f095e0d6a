import { Failure } from '@meridian/failure';

/** Workers of one region that may be ready for one model. */
export const WORKERS_MAX = 4_096;
/** Models that a region may report; each is a key of the shared state. */
export const DIGESTS_MAX = 512;
/** No worker's name. */
const EARLIER = '';

/** What a report changes in the shared state. `later`: unless another worker turns up within the grace. */
export type Verdict = 'ready' | 'unready-later' | 'unchanged';

/**
 * Which workers say that they can run which model, each for as long as it promised to say it again.
 *
 * 1. A region is ready while at least one worker says so.
 * 2. Workers that reported to an earlier life of this process are not known here: together they count as one more, which is
 *    silent from the start.
 */
export class ReadyWorkers {
  /** When their word ends, by worker, by model. */
  readonly #workers = new Map<string, Map<string, number>>();

  constructor(readyAtStart: Iterable<string>, untilMs: number) {
    for (const digest of readyAtStart) this.#workers.set(digest, new Map([[EARLIER, untilMs]]));
  }

  /** @throws Failure RESOURCE_EXHAUSTED / TOO_MANY_WORKERS */
  ready(digest: string, worker: string, untilMs: number): Verdict {
    const workers = this.#workers.get(digest);
    if (workers === undefined && this.#workers.size >= DIGESTS_MAX) throw tooMany(`${DIGESTS_MAX} models`);
    if (workers !== undefined && workers.size >= WORKERS_MAX && !workers.has(worker))
      throw tooMany(`${WORKERS_MAX} workers`);
    this.#workers.set(digest, (workers ?? new Map<string, number>()).set(worker, untilMs));
    return 'ready';
  }

  unready(digest: string, worker: string): Verdict {
    const workers = this.#workers.get(digest);
    if (workers?.delete(worker) !== true || workers.size > 0) return 'unchanged';
    this.#workers.delete(digest);
    return 'unready-later';
  }

  /** Forgets who has been silent for too long. @returns models that nobody is ready for any more */
  expire(nowMs: number): string[] {
    const left: string[] = [];
    for (const [digest, workers] of this.#workers) {
      for (const [worker, untilMs] of workers) if (untilMs <= nowMs) workers.delete(worker);
      if (workers.size > 0) continue;
      this.#workers.delete(digest);
      left.push(digest);
    }
    return left;
  }

  /** Whether any worker may be ready. */
  isReady(digest: string): boolean {
    return this.#workers.has(digest);
  }

  /** Whether a worker has said so in this life of the process. */
  isSaid(digest: string): boolean {
    const workers = this.#workers.get(digest);
    return workers !== undefined && [...workers.keys()].some((worker) => worker !== EARLIER);
  }
}

function tooMany(what: string): Failure {
  return new Failure('RESOURCE_EXHAUSTED', `this region has reports of ${what} already`, {
    reason: 'TOO_MANY_WORKERS',
    retryable: false,
  });
}
