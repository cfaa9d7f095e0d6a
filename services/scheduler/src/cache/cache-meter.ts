import type { CacheUses } from '../inbound/cached-answers.ts';

/** Rates of the last seconds. */
export interface CacheRates {
  readonly hitsPerSecond: number;
  /** Answers that had to be worked out. */
  readonly missesPerSecond: number;
  /** Answers that left to make room. */
  readonly evictionsPerSecond: number;
}

/** What happened so long ago counts a third. */
const MEMORY_MS = 30_000;
/** What the first tick is taken to be after. */
const FIRST_MS = 1_000;

/** How the result cache is used: exponentially weighted rates, by counts between ticks. */
export class CacheMeter {
  #seconds = 0;
  #tickedMs: number | undefined;
  readonly #sums = { hits: 0, misses: 0, evictions: 0 };
  readonly #fresh = { hits: 0, misses: 0, evictions: 0 };

  used(outcome: CacheUses): void {
    if (outcome === 'hit' || outcome === 'shared') this.#fresh.hits++;
    else if (outcome === 'miss') this.#fresh.misses++;
  }

  madeRoom(): void {
    this.#fresh.evictions++;
  }

  /** @param nowMs monotonic */
  tick(nowMs: number): void {
    const elapsedMs = nowMs - (this.#tickedMs ?? nowMs - FIRST_MS);
    this.#tickedMs = nowMs;
    const kept = Math.exp(-elapsedMs / MEMORY_MS);
    this.#seconds = this.#seconds * kept + elapsedMs / 1_000;
    for (const what of ['hits', 'misses', 'evictions'] as const) {
      this.#sums[what] = this.#sums[what] * kept + this.#fresh[what];
      this.#fresh[what] = 0;
    }
  }

  get rates(): CacheRates {
    const per = (sum: number) => (this.#seconds > 0 ? sum / this.#seconds : 0);
    const { hits, misses, evictions } = this.#sums;
    return { hitsPerSecond: per(hits), missesPerSecond: per(misses), evictionsPerSecond: per(evictions) };
  }
}
