import { type SimulationOptions, TAIL_MS } from '../options.ts';
import type { Chance } from './chance.ts';
import type { EventHeap } from './event-heap.ts';

/** Loses, delays, repeats and reorders messages between regions; cut links lose all of them, in one direction or both. */
export class Network {
  readonly #heap: EventHeap;
  readonly #chance: Chance;
  readonly #options: SimulationOptions;
  /** How many partitions cut this direction of a link. */
  readonly #cuts = new Map<string, number>();
  #isCalm = false;

  constructor(heap: EventHeap, chance: Chance, options: SimulationOptions) {
    this.#heap = heap;
    this.#chance = chance;
    this.#options = options;
  }

  /** From now on every message arrives soon and once. Those that are under way keep their delays. */
  calm(): void {
    this.#isCalm = true;
    this.#cuts.clear();
  }

  cut(from: string, to: string): void {
    const link = `${from} ${to}`;
    this.#cuts.set(link, (this.#cuts.get(link) ?? 0) + 1);
  }

  /** @returns whether the link works again */
  mend(from: string, to: string): boolean {
    const link = `${from} ${to}`;
    const left = (this.#cuts.get(link) ?? 1) - 1;
    this.#cuts.set(link, Math.max(0, left));
    return left <= 0;
  }

  send(from: string, to: string, arrive: () => void): void {
    if (this.#isCalm) {
      this.#heap.after(1 + this.#chance.next() * 10, arrive);
      return;
    }
    const { loss, duplicates } = this.#options;
    if ((this.#cuts.get(`${from} ${to}`) ?? 0) > 0 || this.#chance.happens(loss)) return;
    this.#heap.after(this.#delayMs(), arrive);
    if (this.#chance.happens(duplicates)) this.#heap.after(this.#delayMs(), arrive);
  }

  #delayMs(): number {
    const { delayMs, jitterMs, tail } = this.#options;
    return this.#chance.happens(tail) ? this.#chance.next() * TAIL_MS : delayMs + this.#chance.next() * jitterMs;
  }
}
