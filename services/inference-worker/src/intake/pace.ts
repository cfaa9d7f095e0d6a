import { prefetchTarget } from './credit.ts';

/** Part that one observation has in the smoothed value: the last ten or so count. */
const SMOOTHING = 0.1;
/** After so many pictures what was assumed before the first is 3 % of a smoothed value. */
const MEASURED_MIN = 32;

export interface PaceOptions {
  readonly slots: number;
  readonly inFlightPerSlot: number;
  readonly prefetchMax: number;
}

/** How fast bytes come and pictures go, smoothed, and the prefetch that follows from it. */
export class Pace {
  readonly #options: PaceOptions;
  /** Until measured: a picture from the own region, and one of the default model. */
  #fetchMs = 5;
  #serviceMs = 30;
  #observed = 0;

  constructor(options: PaceOptions) {
    this.#options = options;
  }

  /** @param fetchMs from announcement to bytes @param serviceMs what the slot was busy with one picture */
  observe(fetchMs: number, serviceMs: number): void {
    this.#fetchMs += SMOOTHING * (fetchMs - this.#fetchMs);
    this.#serviceMs += SMOOTHING * (serviceMs - this.#serviceMs);
    this.#observed++;
  }

  /** For the region's scheduler: the target and what it comes from. Nothing before it is measured. */
  get measured(): { readonly claimsAhead?: number; readonly fetchMs?: number; readonly serviceMs?: number } {
    if (this.#observed < MEASURED_MIN) return {};
    return { claimsAhead: this.target, fetchMs: this.#fetchMs, serviceMs: this.#serviceMs };
  }

  get target(): number {
    const { slots, inFlightPerSlot, prefetchMax } = this.#options;
    return prefetchTarget({
      slots,
      inFlightPerSlot,
      fetchMs: this.#fetchMs,
      serviceMs: this.#serviceMs,
      max: prefetchMax,
    });
  }
}
