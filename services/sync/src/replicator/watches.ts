import type { VersionVector } from '@meridian/causality';
import { Failure } from '@meridian/failure';
import type { Entry } from '@meridian/replica';
import type { StateMachine } from '../replication/state-machine.ts';
import { type Update, Watch } from './watch.ts';

/** Streams to the services of one region. */
export const WATCHES_MAX = 256;

/** The open watches of one machine; they end with it, for they read a state that is not the region's any more. */
export class Watches {
  readonly #machine: StateMachine;
  /** What readers have of before may be nowhere any more. */
  readonly #beganAnew: boolean;
  readonly #open = new Set<Watch>();
  readonly #ended = new AbortController();

  constructor(machine: StateMachine) {
    this.#machine = machine;
    this.#beganAnew = machine.isRecovering;
  }

  notify(keys: readonly string[]): void {
    for (const watch of this.#open) watch.notify(keys);
  }

  end(reason: Failure): void {
    this.#ended.abort(reason);
  }

  /**
   * @param isFollower all that the reader has seen is of this region
   * @throws Failure RESOURCE_EXHAUSTED / TOO_MANY_WATCHES. Retryable.
   */
  async *updates(
    seen: VersionVector,
    isFollower: boolean,
    signal: AbortSignal,
  ): AsyncGenerator<Update, void, undefined> {
    if (this.#open.size >= WATCHES_MAX)
      throw new Failure('RESOURCE_EXHAUSTED', `${WATCHES_MAX} watches are open`, { reason: 'TOO_MANY_WATCHES' });
    const has = this.#machine.inward(seen);
    const isAnew = isFollower && has.size > 0 && (this.#beganAnew || !this.#machine.vector.dominates(has));
    const watch = new Watch(this.#machine, has, isAnew);
    this.#open.add(watch);
    try {
      for await (const update of watch.updates(AbortSignal.any([signal, this.#ended.signal])))
        yield {
          ...update,
          entries: update.entries.map((entry) => outward(entry, this.#machine)),
          vector: this.#machine.outward(update.vector),
        };
    } finally {
      this.#open.delete(watch);
    }
  }
}

/** As it travels. */
export function outward(entry: Entry, machine: StateMachine): Entry {
  return { ...entry, context: machine.outward(entry.context) };
}
