import { attributeNames } from '@meridian/runtime';
import type { Counter, Meter } from '@opentelemetry/api';
import type { FetchOutcome } from './fetch-plan.ts';

/** What the sync service counts about weights that come from other regions. */
export class BlobMetrics {
  readonly #meter: Meter;
  readonly #fetches: Counter;
  readonly #bytes: Counter;

  constructor(meter: Meter) {
    this.#meter = meter;
    this.#fetches = meter.createCounter('meridian.sync.blob.fetches', {
      description: 'Attempts to fetch weights from another region, by outcome and peer',
    });
    this.#bytes = meter.createCounter('meridian.sync.blob.bytes', {
      description: 'Bytes of weights that came from other regions, by peer',
    });
  }

  ended(outcome: FetchOutcome, peer: string): void {
    this.#fetches.add(1, { [attributeNames.outcome]: outcome, [attributeNames.peer]: peer });
  }

  received(bytes: number, peer: string): void {
    this.#bytes.add(bytes, { [attributeNames.peer]: peer });
  }

  /** A gauge, read when it is asked for. */
  observe(missing: () => number): void {
    this.#meter
      .createObservableGauge('meridian.sync.blobs.missing', {
        description: 'Weights that models of the shared state name and that are not here',
      })
      .addCallback((result) => result.observe(missing()));
  }
}
