/**
 * The price of a region: what one more task there costs the tasks that are to come, in milliseconds. The region alone makes
 * it, from what it sees of itself.
 *
 * 1. It integrates: it rises while more tasks are there than workers, falls while fewer are, and rests where the two meet. So
 *    it finds the dual price of the capacity constraint (see {@link PlanProblem}) without anybody solving for it.
 * 2. It is never below 0 and never above PRICE_MAX_MS.
 *
 * Kelly, Maulloo, Tan: "Rate control for communication networks" (1998): prices by integration at each resource are stable
 * under delay when the gain is small against it.
 */
export class PriceController {
  readonly #gainPerSecond: number;
  #priceMs = 0;

  /** @param gainPerSecond milliseconds a second for each worker's worth of tasks too much; higher follows sooner and swings more */
  constructor(gainPerSecond = GAIN_PER_SECOND) {
    this.#gainPerSecond = gainPerSecond;
  }

  get priceMs(): number {
    return this.#priceMs;
  }

  /**
   * @param outstanding tasks that wait or are worked on here
   * @param workers that work here now
   * @param elapsedMs since the last call
   */
  observe(outstanding: number, workers: number, elapsedMs: number): void {
    const excess = Math.min(outstanding / Math.max(workers, 1), OCCUPANCY_MAX) - 1;
    const next = this.#priceMs + (this.#gainPerSecond * excess * elapsedMs) / 1_000;
    this.#priceMs = Math.min(Math.max(next, 0), PRICE_MAX_MS);
  }
}

/** How often a region looks at itself. */
export const PRICE_INTERVAL_MS = 200;
const GAIN_PER_SECOND = 60;
/** A queue longer than this raises the price no faster: one outage must not price a region out for minutes. */
const OCCUPANCY_MAX = 4;
const PRICE_MAX_MS = 2_000;
