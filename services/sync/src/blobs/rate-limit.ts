import type { Clock } from '@meridian/runtime';

/** What may be taken at once after a pause, as time at the full rate. */
export const BURST_MS = 100;

/**
 * A token bucket.
 *
 * 1. In any time T, at most `rate · (T + BURST_MS)` bytes and one piece are given out.
 * 2. In the order in which they were asked for. Who gives up takes nothing.
 */
export class RateLimit {
  readonly #bytesPerMs: number;
  readonly #clock: Clock;
  /** When what has been given out so far is used up. */
  #usedUntilMs = Number.NEGATIVE_INFINITY;
  #last: Promise<void> = Promise.resolve();

  constructor(bytesPerSecondMax: number, clock: Clock) {
    this.#bytesPerMs = bytesPerSecondMax / 1_000;
    this.#clock = clock;
  }

  /** Resolves when the bytes may be sent for. @throws Failure CANCELLED on abort. */
  take(bytes: number, signal: AbortSignal): Promise<void> {
    const given = this.#last.then(() => this.#give(bytes, signal));
    this.#last = given.catch(() => undefined);
    return given;
  }

  async #give(bytes: number, signal: AbortSignal): Promise<void> {
    const waitMs = this.#usedUntilMs - this.#clock.monotonicMs();
    if (waitMs > 0 || signal.aborted) await this.#clock.sleep(waitMs, signal);
    const fromMs = Math.max(this.#usedUntilMs, this.#clock.monotonicMs() - BURST_MS);
    this.#usedUntilMs = fromMs + bytes / this.#bytesPerMs;
  }
}
