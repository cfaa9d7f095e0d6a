import type { Cause, Change, Delta, FetchAnswer, FetchRequest } from './protocol.ts';

/** Local writes that wait for the log. */
export const WRITES_WAITING_MAX = 1_024;
/** Deltas that wait for the log; what is lost is left to a fetch. */
export const DELTAS_WAITING_MAX = 256;

export interface WriteWork {
  readonly kind: 'write';
  readonly id: number;
  readonly change: Change;
  readonly cause?: Cause;
}

export interface DeltaWork {
  readonly kind: 'delta';
  readonly origin: string;
  readonly delta: Delta;
  readonly cause?: Cause;
}

export interface PageWork {
  readonly kind: 'page';
  readonly peer: string;
  readonly request: FetchRequest;
  readonly answer: FetchAnswer;
  readonly cause?: Cause;
  /** See the input `fetched`. */
  readonly intervalMs?: number;
}

export type Work = WriteWork | DeltaWork | PageWork;

/** What waits until the log has taken the group before it. In order of arrival; pages are one a peer at most. */
export class WorkQueue {
  readonly #waiting: Work[] = [];
  readonly #counts = { write: 0, delta: 0, page: 0 };

  get size(): number {
    return this.#waiting.length;
  }

  /** @returns false when there are too many of the kind already. */
  push(work: Work): boolean {
    if (work.kind === 'write' && this.#counts.write >= WRITES_WAITING_MAX) return false;
    if (work.kind === 'delta' && this.#counts.delta >= DELTAS_WAITING_MAX) return false;
    this.#counts[work.kind]++;
    this.#waiting.push(work);
    return true;
  }

  /**
   * Removes writes from the run of writes at the front.
   * @param choose what to do with each; the scan ends with the run, or at `end`
   */
  takeWrites(choose: (work: WriteWork) => 'take' | 'leave' | 'end'): void {
    const left: Work[] = [];
    let at = 0;
    for (; at < this.#waiting.length; at++) {
      const work = this.#waiting[at];
      if (work?.kind !== 'write') break;
      const choice = choose(work);
      if (choice === 'end') break;
      if (choice === 'leave') left.push(work);
    }
    this.#counts.write -= at - left.length;
    this.#waiting.splice(0, at, ...left);
  }

  *deltas(): Iterable<DeltaWork> {
    for (const work of this.#waiting) if (work.kind === 'delta') yield work;
  }

  first(): Work | undefined {
    return this.#waiting[0];
  }

  shift(): Work | undefined {
    const work = this.#waiting.shift();
    if (work !== undefined) this.#counts[work.kind]--;
    return work;
  }
}
