/** Part of the calls that may be placed a second time. */
const BUDGET_SHARE = 0.02;
/** Hedges saved up in quiet times: more would let a burst of them through at once. */
const BUDGET_MAX = 4;
/** Calls whose times are remembered. */
const SAMPLES_MAX = 512;
/** With fewer nothing is known of the slowest hundredth. */
const SAMPLES_MIN = 200;
const PERCENTILE = 0.99;
/** Calls between two looks at the percentile: it costs a sort. */
const LOOK_EVERY = 64;

/**
 * When a call is so late that a second attempt elsewhere is worth its cost ("hedging": Dean, Barroso, "The tail at scale",
 * 2013).
 *
 * 1. Late is what lasts longer, against what was expected of it, than all but a hundredth of the last calls.
 * 2. No more than BUDGET_SHARE of all calls are hedged, over any time, but for BUDGET_MAX.
 */
export class Hedging {
  /** Took ÷ expected, the last SAMPLES_MAX, in a ring. */
  readonly #ratios: number[] = [];
  #next = 0;
  #ended = 0;
  #lateRatio = Number.POSITIVE_INFINITY;
  #budget = 0;

  /** A call was placed for the first time. */
  placed(): void {
    this.#budget = Math.min(BUDGET_MAX, this.#budget + BUDGET_SHARE);
  }

  /** The first attempt of a call has brought its result. */
  ended(expectedMs: number, tookMs: number): void {
    if (!(expectedMs > 0)) return;
    this.#ratios[this.#next] = tookMs / expectedMs;
    this.#next = (this.#next + 1) % SAMPLES_MAX;
    this.#ended++;
    if (this.#ended >= SAMPLES_MIN && (this.#ended - SAMPLES_MIN) % LOOK_EVERY === 0) this.#look();
  }

  /** Whether an attempt that has lasted so long is late, and there is budget for another one. */
  isDue(expectedMs: number, lastedMs: number): boolean {
    return this.#budget >= 1 && lastedMs > expectedMs * this.#lateRatio;
  }

  spent(): void {
    this.#budget--;
  }

  #look(): void {
    const sorted = this.#ratios.toSorted((a, b) => a - b);
    this.#lateRatio = sorted[Math.ceil(sorted.length * PERCENTILE) - 1] ?? Number.POSITIVE_INFINITY;
  }
}
