import type { LinkClock } from './clock.ts';

/**
 * First in, first out, each item not before its time.
 *
 * 1. Items leave in the order they came, also when a later one is due earlier.
 * 2. One timer at most is running, for the item at the head.
 * 3. While held or blocked nothing leaves and no timer runs.
 */
export type Parcel = Buffer | 'end' | 'reset';

interface Item {
  readonly parcel: Parcel;
  dueMs: number;
}

/** Timers fire a little late: what is due within this time goes with the rest. */
const SLACK_MS = 0.5;
/** Delivered items are cut off the array when this many have gathered at its head. */
const COMPACT_AT = 1024;

export class DelayLine {
  readonly #clock: LinkClock;
  /** @returns false when the receiver can take no more until `unblock`. */
  readonly #deliver: (parcels: readonly Parcel[]) => boolean;
  #items: Item[] = [];
  #head = 0;
  #bytes = 0;
  #lastDueMs = 0;
  #held = false;
  #blocked = false;
  #timer: { cancel(): void } | undefined;

  constructor(clock: LinkClock, deliver: (parcels: readonly Parcel[]) => boolean) {
    this.#clock = clock;
    this.#deliver = deliver;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(parcel: Parcel, dueMs: number): void {
    this.#lastDueMs = Math.max(this.#lastDueMs, dueMs);
    this.#items.push({ parcel, dueMs: this.#lastDueMs });
    if (typeof parcel !== 'string') this.#bytes += parcel.length;
    if (this.#timer === undefined) this.#schedule();
  }

  /** Nothing leaves until `release`. */
  hold(): void {
    this.#held = true;
    this.#stopTimer();
  }

  /** What was held leaves at `earliestMs` or later: it has to be sent again. */
  release(earliestMs: number): void {
    this.#held = false;
    for (let i = this.#head; i < this.#items.length; i++) {
      const item = this.#items[i];
      if (item === undefined || item.dueMs >= earliestMs) break;
      item.dueMs = earliestMs;
    }
    this.#lastDueMs = Math.max(this.#lastDueMs, earliestMs);
    this.#schedule();
  }

  /** The receiver takes parcels again. */
  unblock(): void {
    this.#blocked = false;
    this.flush();
  }

  /** Drops everything, for good. */
  clear(): void {
    this.#items = [];
    this.#head = 0;
    this.#bytes = 0;
    this.#stopTimer();
  }

  /** Delivers what is due. */
  flush(): void {
    this.#stopTimer();
    if (this.#held || this.#blocked) return;
    const due = this.#takeDue();
    if (due.length > 0) this.#blocked = !this.#deliver(due);
    this.#schedule();
  }

  #takeDue(): Parcel[] {
    const untilMs = this.#clock.monotonicMs() + SLACK_MS;
    const due: Parcel[] = [];
    for (
      let item = this.#items[this.#head];
      item !== undefined && item.dueMs <= untilMs;
      item = this.#items[this.#head]
    ) {
      due.push(item.parcel);
      if (typeof item.parcel !== 'string') this.#bytes -= item.parcel.length;
      this.#head++;
    }
    if (this.#head === this.#items.length || this.#head >= COMPACT_AT) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return due;
  }

  #schedule(): void {
    const item = this.#items[this.#head];
    if (this.#held || this.#blocked || item === undefined || this.#timer !== undefined) return;
    const waitMs = Math.max(0, item.dueMs - this.#clock.monotonicMs());
    this.#timer = this.#clock.setTimer(waitMs, () => {
      this.#timer = undefined;
      this.flush();
    });
  }

  #stopTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
