/**
 * The price of a region: what one more task there costs the tasks that are to come, in milliseconds. The region alone makes
 * it, from what it sees of itself.
 *
 * 1. It integrates occupancy − 1: it rises while more tasks are there than workers and falls while fewer are. So it finds the
 *    dual price of the capacity constraint (see {@link PlanProblem}) without anybody solving for it.
 * 2. It forgets: what it saw MEMORY_MS ago counts a third. Without that, prices of all regions climb for as long as all are
 *    full, and what is left between them is noise (docs/simulation.md, "Constants").
 * 3. It is never below 0 and never above EXCESS_COST_MS × (OCCUPANCY_MAX − 1).
 *
 * Kelly, Maulloo, Tan: "Rate control for communication networks" (1998): prices by integration at each resource are stable
 * under delay when the gain is small against it.
 */
export class PriceController {
  #priceMs = 0;

  get priceMs(): number {
    return this.#priceMs;
  }

  /**
   * @param outstanding tasks that wait or are worked on here, ≥ 0
   * @param workers that work here now; fewer than one count as one
   * @param elapsedMs since the last call, ≥ 0
   */
  observe(outstanding: number, workers: number, elapsedMs: number): void {
    const excess = Math.min(outstanding / Math.max(workers, 1), OCCUPANCY_MAX) - 1;
    const weight = 1 - Math.exp(-elapsedMs / MEMORY_MS);
    this.#priceMs = Math.max(0, this.#priceMs + weight * (EXCESS_COST_MS * excess - this.#priceMs));
  }
}

/** How often a region looks at itself. */
export const PRICE_INTERVAL_MS = 200;
const MEMORY_MS = 5_000;
/** The price at which an occupancy of 2 rests; ÷ MEMORY_MS it is the gain of the integrator, 60 ms a second. */
const EXCESS_COST_MS = 300;
/** A queue longer than this raises the price no further: one outage must not price a region out for minutes. */
const OCCUPANCY_MAX = 4;
