import type { Clock, Timer } from '@meridian/runtime';

/** Far below the ack wait; long enough that a busy worker sends several in one packet. */
const DELAY_MS = 50;
const BATCH_MAX = 64;

/**
 * Acknowledgements sent together: each alone is a packet to encrypt, send and wake the broker for. One that is lost with
 * the process only means that the claim comes again and is refused by its owner.
 */
export class AckBatch {
  readonly #clock: Clock;
  #waiting: (() => void)[] = [];
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#waiting.length;
  }

  add(acknowledge: () => void): void {
    this.#waiting.push(acknowledge);
    if (this.#waiting.length >= BATCH_MAX) this.flush();
    else this.#timer ??= this.#clock.setTimer(DELAY_MS, () => this.flush());
  }

  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const acknowledge of waiting) acknowledge();
  }
}
