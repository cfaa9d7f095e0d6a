import { PRICE_INTERVAL_MS, PriceController } from './price.ts';

/** What a region counts of itself. */
export interface Occupancy {
  /** Tasks that take a worker's place or wait for one. */
  readonly contending: number;
  readonly slots: number;
}

/**
 * A region in which nothing was to be done for so long is not scarce: its price is nothing at once. Without this a region
 * that has just worked off a large batch would turn new work away for as long as its price takes to fall.
 */
const IDLE_RESET_MS = 1_000;

/**
 * The price of the own region over time.
 *
 * 1. The controller sees the mean of what was observed since it looked last, at most every PRICE_INTERVAL_MS.
 * 2. What it sees is relative to {@link restingOccupancy}: a small region with as much to do as it can bear is not scarce.
 * 3. The price is 0 without workers, and after IDLE_RESET_MS without work.
 */
export class RegionPrice {
  #controller = new PriceController();
  #sum = 0;
  #samples = 0;
  #lookedMs: number | undefined;
  #busyMs = Number.NEGATIVE_INFINITY;

  get priceMs(): number {
    return this.#controller.priceMs;
  }

  /** @param nowMs monotonic */
  observe({ contending, slots }: Occupancy, nowMs: number): void {
    if (contending > 0) this.#busyMs = nowMs;
    if (slots === 0 || nowMs - this.#busyMs >= IDLE_RESET_MS) {
      this.#controller = new PriceController();
      this.#begin(nowMs);
      return;
    }
    this.#sum += contending;
    this.#samples++;
    const elapsedMs = nowMs - (this.#lookedMs ?? nowMs);
    if (this.#lookedMs === undefined) this.#lookedMs = nowMs;
    if (elapsedMs < PRICE_INTERVAL_MS) return;
    this.#controller.observe(this.#sum / this.#samples / restingOccupancy(slots), slots, elapsedMs);
    this.#begin(nowMs);
  }

  #begin(nowMs: number): void {
    this.#sum = 0;
    this.#samples = 0;
    this.#lookedMs = nowMs;
  }
}

/** Of its places, what a region may have in use for good. */
const RESTING_UTILISATION = 0.8;

/**
 * Tasks for each place, waiting ones included, that a region of so many places holds on average at RESTING_UTILISATION, and
 * at least 1. Chance makes more of them wait in a small region: with one place 4, with two 2.3, from ten on 1. A price that
 * rested at one task for each place would keep a region with one place half idle.
 *
 * Sakasegawa: "An approximation formula Lq ≃ α·ρ^β/(1−ρ)" (1977).
 */
export function restingOccupancy(places: number): number {
  const waiting = RESTING_UTILISATION ** Math.sqrt(2 * (places + 1)) / (1 - RESTING_UTILISATION);
  return Math.max(1, RESTING_UTILISATION + waiting / places);
}
