import type { Clock } from '@meridian/runtime';
import type { Outcome } from '../claims/held-claim.ts';
import type { ServedModel, Slots } from '../claims/ports.ts';

export interface PacedSlotsOptions {
  readonly slots: Slots;
  readonly clock: Clock;
  /** Pictures that are worked on at a time. */
  readonly places: number;
  /** Each picture keeps its place for at least this long. */
  readonly paceMs: number;
}

/**
 * Makes this worker as slow as the machine that it stands for: where several regions run on one machine, and not the machine
 * is to be measured but what is decided about it. Pictures are really recognised; their results leave when their time is up.
 *
 * 1. At most `places` pictures are under way, however many the processes could take.
 * 2. What a result says of its inference includes the time that it was held: owners learn the pace as they learn any.
 */
export class PacedSlots implements Slots {
  readonly #o: PacedSlotsOptions;
  readonly #listeners: (() => void)[] = [];
  #taken = 0;

  constructor(options: PacedSlotsOptions) {
    this.#o = options;
    options.slots.onFree(() => this.#tell());
  }

  get free(): number {
    return Math.max(0, Math.min(this.#o.slots.free, this.#o.places - this.#taken));
  }

  onFree(listener: () => void): void {
    this.#listeners.push(listener);
  }

  async run(model: ServedModel, picture: Uint8Array): Promise<Outcome> {
    const { slots, clock, paceMs } = this.#o;
    this.#taken++;
    const startedMs = clock.monotonicMs();
    const outcome = await slots.run(model, picture);
    const heldMs = Math.max(0, startedMs + paceMs - clock.monotonicMs());
    if (heldMs > 0) await clock.sleep(heldMs);
    this.#taken--;
    queueMicrotask(() => this.#tell());
    return outcome.kind === 'failure' ? outcome : { ...outcome, inferenceMs: outcome.inferenceMs + heldMs };
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
