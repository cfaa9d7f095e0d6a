/** Rounds of which the size is kept. An odd number has a middle one. */
const ROUNDS_KEPT = 5;
/** What was pushed so long ago counts a third. As long as the longest interval is by default. */
const MEMORY_MS = 60_000;

interface IdleRound {
  readonly bytes: number;
  readonly tookMs: number;
}

/**
 * What rounds with one peer cost when there is nothing to catch up with.
 *
 * 1. Of the last {@link ROUNDS_KEPT} such rounds: the middle size, so that a single odd one decides nothing, and the least
 *    time, because everything but the way only adds to it.
 */
export class RoundMeter {
  readonly #rounds: IdleRound[] = [];

  /** @param bytes of question and answer together @param tookMs from one to the other */
  add(bytes: number, tookMs: number): void {
    this.#rounds.push({ bytes, tookMs });
    if (this.#rounds.length > ROUNDS_KEPT) this.#rounds.shift();
  }

  /** Undefined before the first round. */
  get bytes(): number | undefined {
    const sizes = this.#rounds.map(({ bytes }) => bytes).sort((a, b) => a - b);
    return sizes[Math.floor(sizes.length / 2)];
  }

  /** Undefined before the first round. */
  get roundTripMs(): number | undefined {
    return this.#rounds.length === 0 ? undefined : Math.min(...this.#rounds.map(({ tookMs }) => tookMs));
  }
}

/**
 * Bytes a second, older ones weighted less.
 *
 * 1. A burst counts as if it were spread over {@link MEMORY_MS}. Before the first there was nothing.
 */
export class PushMeter {
  #bytes = 0;
  #atMs = 0;

  /** @param nowMs monotonic */
  add(bytes: number, nowMs: number): void {
    this.#bytes = this.#leftOf(nowMs) + bytes;
    this.#atMs = nowMs;
  }

  /** @param nowMs monotonic */
  perSecond(nowMs: number): number {
    return (this.#leftOf(nowMs) * 1_000) / MEMORY_MS;
  }

  #leftOf(nowMs: number): number {
    return this.#bytes * Math.exp(-Math.max(0, nowMs - this.#atMs) / MEMORY_MS);
  }
}
