import type { Clock } from '@meridian/runtime';
import { within } from './deadline.ts';
import type { Subscription } from './message-bus.ts';

/** What still runs gets this long to end in `drain`. */
const DRAIN_TIMEOUT_MS = 5000;

interface Source {
  readonly unsubscribe: () => void;
  /** Unsubscribes, and resolves when what came before is handled. */
  readonly drain: () => Promise<void>;
}

/** The open subscriptions of a bus. */
export class Intake {
  readonly #clock: Clock;
  readonly #open = new Set<Source>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(source: Source): Subscription {
    this.#open.add(source);
    return {
      unsubscribe: () => {
        this.#open.delete(source);
        source.unsubscribe();
      },
    };
  }

  /** Ends all, then waits for `rest`; bounded. */
  async drain(rest: () => Promise<void>): Promise<void> {
    const sources = Array.from(this.#open);
    this.#open.clear();
    const drained = Promise.all(sources.map((source) => source.drain()));
    await within(this.#clock, DRAIN_TIMEOUT_MS, drained.then(rest));
  }

  /** At once, without waiting. */
  close(): void {
    for (const source of this.#open) source.unsubscribe();
    this.#open.clear();
  }
}
