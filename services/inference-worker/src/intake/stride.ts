import { assert } from '@meridian/failure';

/**
 * Stride scheduling (Waldspurger 1995): who is next, by weight.
 *
 * 1. The candidate with the least pass is chosen; its pass then grows by SCALE ÷ weight. Ties go to declaration order.
 * 2. A candidate that was absent is lifted to the virtual time: it gains no credit by having had nothing to do.
 * 3. Never starving: while a key of weight w stays a candidate, any other key i is chosen at most ⌈wᵢ ÷ w⌉ + 1 times
 *    before it is its turn, whoever else comes and goes.
 *
 * Deterministic, no clock and no randomness.
 */
const SCALE = 65_536;
/** Passes are brought back below this, far from where doubles lose whole numbers. */
const PASS_MAX = 2 ** 48;

export class Stride<K extends string> {
  readonly #strides: ReadonlyMap<K, number>;
  readonly #passes = new Map<K, number>();
  #virtualTime = 0;

  /** @param weights positive whole numbers up to 1024, in order of precedence for ties. */
  constructor(weights: Readonly<Record<K, number>>) {
    const keys = Object.keys(weights) as K[];
    for (const key of keys)
      assert(Number.isInteger(weights[key]) && weights[key] >= 1 && weights[key] <= 1024, `weight of ${key}`);
    this.#strides = new Map(keys.map((key) => [key, Math.round(SCALE / weights[key])]));
    for (const key of keys) this.#passes.set(key, 0);
  }

  /** Chooses among the keys for which `isCandidate` holds, and charges the chosen one. */
  choose(isCandidate: (key: K) => boolean): K | undefined {
    let best: K | undefined;
    let bestPass = Number.POSITIVE_INFINITY;
    for (const [key, pass] of this.#passes) {
      if (!isCandidate(key)) continue;
      const lifted = Math.max(pass, this.#virtualTime);
      if (lifted !== pass) this.#passes.set(key, lifted);
      if (lifted < bestPass) {
        best = key;
        bestPass = lifted;
      }
    }
    if (best === undefined) return undefined;
    this.#virtualTime = bestPass;
    this.#passes.set(best, bestPass + (this.#strides.get(best) ?? SCALE));
    if (bestPass > PASS_MAX) this.#rebase();
    return best;
  }

  #rebase(): void {
    for (const [key, pass] of this.#passes) this.#passes.set(key, Math.max(0, pass - this.#virtualTime));
    this.#virtualTime = 0;
  }
}
