import { Failure } from '@meridian/failure';
import type { Clock } from '@meridian/runtime';
import type { Cause, Written } from '../replication/protocol.ts';

/**
 * Callers that wait for the outcome of their write, and the log's events of writes that are not pushed yet.
 *
 * 1. Each call ends once: written, refused, or after its time with an outcome that is unknown.
 */
export class PendingWrites {
  readonly #clock: Clock;
  readonly #outcomes = new Map<number, PromiseWithResolvers<Written>>();
  readonly #events = new Map<number, Cause>();
  #ids = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @throws Failure what it was refused with; UNAVAILABLE / WRITE_UNKNOWN after the time-out. */
  async outcome(key: string, timeoutMs: number, begin: (id: number) => void): Promise<Written> {
    const id = ++this.#ids;
    const outcome = Promise.withResolvers<Written>();
    const timer = this.#clock.setTimer(timeoutMs, () => outcome.reject(unknownOutcome(key)));
    this.#outcomes.set(id, outcome);
    try {
      begin(id);
      return await outcome.promise;
    } finally {
      timer.cancel();
      this.#outcomes.delete(id);
    }
  }

  written(id: number, written: Written): void {
    this.#outcomes.get(id)?.resolve(written);
  }

  refused(id: number, failure: Failure): void {
    this.#outcomes.get(id)?.reject(failure);
  }

  refuseAll(failure: Failure): void {
    for (const outcome of this.#outcomes.values()) outcome.reject(failure);
  }

  /** The log has the write's record: its event is the cause of the delta to come. */
  stored(id: number, event: Cause): void {
    this.#events.set(id, event);
  }

  /** A delta names the last of the log's events; the others are its dots. */
  causesOf(ids: readonly number[]): readonly Cause[] {
    const causes = ids.map((id) => this.#events.get(id)).filter((cause) => cause !== undefined);
    for (const id of ids) this.#events.delete(id);
    return causes.slice(-1);
  }
}

function unknownOutcome(key: string): Failure {
  return new Failure('UNAVAILABLE', `the state log did not confirm ${key} in time; it may be written all the same`, {
    reason: 'WRITE_UNKNOWN',
  });
}
