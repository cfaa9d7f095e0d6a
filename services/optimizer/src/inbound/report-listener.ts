import { VersionVector } from '@meridian/causality';
import { type Envelope, regionOfSource, subject } from '@meridian/contracts';
import type { Cause, Incoming, MessageBus, Subscription } from '@meridian/messaging';
import type { Clock, Component } from '@meridian/runtime';
import type { Metrics } from '../metrics.ts';
import { type Reading, readDemand, readLoad } from '../reports/read-report.ts';
import type { ReportDesk } from '../reports/report-desk.ts';

export interface ReportListenerOptions {
  readonly bus: MessageBus;
  readonly desk: ReportDesk;
  readonly regions: ReadonlySet<string>;
  readonly metrics: Pick<Metrics, 'rejected'>;
  readonly clock: Clock;
}

/**
 * Hears what the schedulers of all regions report, and puts what can be true on the desk.
 *
 * 1. What cannot be true, or is no news, is counted and changes nothing.
 * 2. `vector` covers what the last report of each region had seen of the shared state: it is all that this service has seen.
 */
export class ReportListener implements Component {
  readonly name = 'report listener';
  readonly #o: ReportListenerOptions;
  readonly #subscriptions: Subscription[] = [];
  /** The envelope of each region's last report that counted, of each kind. */
  readonly #loads = new Map<string, Envelope>();
  readonly #demands = new Map<string, Envelope>();

  constructor(options: ReportListenerOptions) {
    this.#o = options;
  }

  start(): Promise<void> {
    const { bus } = this.#o;
    this.#subscriptions.push(
      bus.subscribe(subject('telemetry', { origin: '*' }), 'meridian.telemetry.load.v1', (message) =>
        this.#load(message),
      ),
      bus.subscribe(subject('demand', { origin: '*' }), 'meridian.telemetry.demand.v1', (message) =>
        this.#demand(message),
      ),
    );
    return Promise.resolve();
  }

  stop(): Promise<void> {
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    return Promise.resolve();
  }

  get vector(): VersionVector {
    let vector = VersionVector.EMPTY;
    for (const envelope of this.causes) if (!vector.dominates(envelope.vector)) vector = vector.merge(envelope.vector);
    return vector;
  }

  /** The last reports, those about demand first. */
  get causes(): Cause[] {
    return [...this.#demands.values(), ...this.#loads.values()];
  }

  #load({ envelope, data }: Incoming<'meridian.telemetry.load.v1'>): void {
    const { desk, regions } = this.#o;
    const reading = readLoad(data, regionOfSource(envelope.source), regions);
    this.#take('load', reading, envelope, this.#loads, (facts) => desk.load(envelope.source, facts, this.#now()));
  }

  #demand({ envelope, data }: Incoming<'meridian.telemetry.demand.v1'>): void {
    const { desk, regions } = this.#o;
    const reading = readDemand(data, regionOfSource(envelope.source), regions);
    this.#take('demand', reading, envelope, this.#demands, (facts) => desk.demand(envelope.source, facts, this.#now()));
  }

  #take<F extends { readonly region: string }>(
    kind: 'load' | 'demand',
    reading: Reading<F>,
    envelope: Envelope,
    last: Map<string, Envelope>,
    put: (facts: F) => ReturnType<ReportDesk['load']>,
  ): void {
    const { metrics } = this.#o;
    if ('refusal' in reading) {
      metrics.rejected(kind, reading.refusal);
      return;
    }
    if (reading.unknown > 0) metrics.rejected(kind, 'unknown-region', reading.unknown);
    const refusal = put(reading.facts);
    if (refusal === undefined) last.set(reading.facts.region, envelope);
    else metrics.rejected(kind, refusal);
  }

  #now() {
    const { clock } = this.#o;
    return { wallMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
  }
}
