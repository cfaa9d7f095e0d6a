import type { Random } from '@meridian/runtime';
import { DemandMeter } from './demand-meter.ts';
import type { Placing, Sight } from './policy.ts';

const WINDOW_MS = 1_000;

/**
 * Envoy's zone-aware routing, told the demand of each zone and its workers every second: an origin whose share of all demand
 * is not above its share of all workers keeps everything; of the others, what is above goes to the zones that have room, in
 * proportion to it. It knows shares only, neither distances nor load.
 */
export class ZoneAware implements Placing {
  readonly #sight: Sight;
  readonly #random: Random;
  readonly #demand: DemandMeter;
  readonly #keeps: Float64Array;
  readonly #room: Float64Array;
  #rooms = 0;

  constructor(sight: Sight, random: Random) {
    this.#sight = sight;
    this.#random = random;
    this.#demand = new DemandMeter(sight.regions, WINDOW_MS);
    this.#keeps = new Float64Array(sight.regions).fill(1);
    this.#room = new Float64Array(sight.regions);
  }

  place(origin: number, nowMs: number): number {
    if (this.#demand.count(origin, nowMs)) this.#share();
    if (this.#rooms === 0 || this.#random.next() < (this.#keeps[origin] as number)) return origin;
    let left = this.#random.next() * this.#rooms;
    for (let j = 0; j < this.#room.length; j++) {
      left -= this.#room[j] as number;
      if (left < 0) return j;
    }
    return origin;
  }

  #share(): void {
    const { workers } = this.#sight.truth;
    const { perSecond } = this.#demand;
    const all = workers.reduce((a, b) => a + b, 0);
    const total = perSecond.reduce((a, b) => a + b, 0);
    this.#rooms = 0;
    for (let j = 0; j < workers.length; j++) {
      const has = (workers[j] as number) / all;
      const asks = (perSecond[j] as number) / total;
      this.#keeps[j] = asks <= has ? 1 : has / asks;
      this.#room[j] = Math.max(0, has - asks);
      this.#rooms += this.#room[j] as number;
    }
  }
}
