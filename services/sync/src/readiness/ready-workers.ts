import { Failure } from '@meridian/failure';

/** Workers of one region that may be ready for one model. */
export const WORKERS_MAX = 4_096;
/** Models that a region may report; each is a key of the shared state. */
export const DIGESTS_MAX = 512;

/** What a report changes in the shared state. `later`: unless another worker turns up within the grace. */
export type Verdict = 'ready' | 'unready-later' | 'unchanged';

/**
 * Which workers said, in this life of the process, that they can run which model.
 *
 * 1. A region is ready while at least one worker says so.
 * 2. Workers that reported to an earlier life of this process are not known here, and report once: a digest that was
 *    ready at the start may have such workers, so it stays ready when the known ones leave.
 */
export class ReadyWorkers {
  readonly #workers = new Map<string, Set<string>>();
  readonly #readyAtStart: ReadonlySet<string>;

  constructor(readyAtStart: Iterable<string>) {
    this.#readyAtStart = new Set(readyAtStart);
  }

  /** @throws Failure RESOURCE_EXHAUSTED / TOO_MANY_WORKERS */
  report(digest: string, worker: string, isReady: boolean): Verdict {
    const workers = this.#workers.get(digest);
    if (isReady) {
      this.#add(digest, workers, worker);
      return 'ready';
    }
    const wasKnown = workers?.delete(worker) === true;
    if (!wasKnown || workers.size > 0 || this.#readyAtStart.has(digest)) return 'unchanged';
    return 'unready-later';
  }

  /** Whether any known worker is ready. */
  isReady(digest: string): boolean {
    return (this.#workers.get(digest)?.size ?? 0) > 0;
  }

  #add(digest: string, workers: Set<string> | undefined, worker: string): void {
    if (workers === undefined && this.#workers.size >= DIGESTS_MAX) throw tooMany(`${DIGESTS_MAX} models`);
    if (workers !== undefined && workers.size >= WORKERS_MAX && !workers.has(worker))
      throw tooMany(`${WORKERS_MAX} workers`);
    if (workers === undefined) this.#workers.set(digest, new Set([worker]));
    else workers.add(worker);
  }
}

function tooMany(what: string): Failure {
  return new Failure('RESOURCE_EXHAUSTED', `this region has reports of ${what} already`, {
    reason: 'TOO_MANY_WORKERS',
    retryable: false,
  });
}
