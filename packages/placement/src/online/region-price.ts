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
 * 2. The price is 0 without workers, and after IDLE_RESET_MS without work.
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
    this.#controller.observe(this.#sum / this.#samples, slots, elapsedMs);
    this.#begin(nowMs);
  }

  #begin(nowMs: number): void {
    this.#sum = 0;
    this.#samples = 0;
    this.#lookedMs = nowMs;
  }
}
