import type { Load } from '@meridian/contracts/collector';
import type { Clock } from '@meridian/runtime';
import type { Load as LoadToSend } from '../codec/report-codec.ts';

/** The region's scheduler reports at least every 1.5 s: one that has not is not spoken for. */
const AGE_MAX_MS = 3_000;

/** What the scheduler of the own region said last of the region's load: it rides on what goes to all owners. */
export class RegionLoad {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  #last: Load | undefined;
  #heardMs = 0;

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  heard(load: Load): void {
    this.#last = load;
    this.#heardMs = this.#clock.monotonicMs();
  }

  /** With its age; undefined when there is none, or none of late. */
  get current(): LoadToSend | undefined {
    const ageMs = this.#clock.monotonicMs() - this.#heardMs;
    return this.#last === undefined || ageMs > AGE_MAX_MS ? undefined : { ...this.#last, ageMs };
  }
}
