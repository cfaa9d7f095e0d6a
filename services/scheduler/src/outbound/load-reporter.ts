import { subject } from '@meridian/contracts';
import type { MessageBus } from '@meridian/messaging';
import { RegionPrice } from '@meridian/placement';
import type { Clock, Component, Logger, Timer } from '@meridian/runtime';
import { type ClaimsAhead, claimsAheadOf } from '../owner/claims-ahead.ts';
import type { WorkerLoad } from '../owner/worker-stream.ts';
import { CLOCK_STEP_MS, type RegionView } from '../placement/region-view.ts';
import type { ClaimLeftovers } from './claim-leftovers.ts';

export interface LoadReporterOptions {
  readonly bus: MessageBus;
  readonly leftovers: Pick<ClaimLeftovers, 'openOf'>;
  /** The own region's view: what is measured goes there first. */
  readonly view: RegionView;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Workers of the own region that are attached here. */
  readonly workers: () => number;
  /** This owner has open tasks. */
  readonly busy: () => boolean;
  /** Models whose processing time is worth telling. */
  readonly modelDigests: () => readonly string[];
  /** Of the workers of the own region together. */
  readonly workerLoad: () => WorkerLoad;
  /** The same, of those that have measured it. */
  readonly claimsAhead: () => readonly ClaimsAhead[];
  /** A report went out: to be told to the region's workers, on whose results and heartbeats it rides. */
  readonly tell: (report: RegionReport) => void;
  readonly reported: () => void;
}

/** What is the same in a report and in what rides on results. */
export interface RegionReport {
  readonly outstanding: number;
  readonly settled: number;
  readonly capacity: number;
  readonly price: number;
  readonly workers: number;
  readonly slots: number;
  readonly measuredUnixMs: bigint;
}

const BUSY_INTERVAL_MS = 100;
/** As often as an idle region looks for work that others have placed with it. */
const IDLE_INTERVAL_MS = 200;
const REPORT_INTERVAL_MS = 1000;
const MODELS_MAX = 64;

/**
 * Measures the own region's load and tells all regions: ten times a second while it changes, else once a second.
 *
 * 1. The own region is heard of only through its broker: without it, it is as silent as any other.
 * 2. A report goes out when something has changed, and at least once a second.
 * 3. `measuredUnixMs` grows with each report, also when the wall clock is set back a little.
 * 4. The price is this region's alone to make, from what takes its workers' places: claims whose bytes are still on their
 *    way, or whose results wait for their owners, do not.
 */
export class LoadReporter implements Component {
  readonly name = 'load reporter';
  readonly #options: LoadReporterOptions;
  #timer: Timer | undefined;
  #stopped = false;
  #lastText = '';
  #lastMs = Number.NEGATIVE_INFINITY;
  #measuredMs = 0;
  readonly #price = new RegionPrice();

  constructor(options: LoadReporterOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    await this.#round();
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    return Promise.resolve();
  }

  async #round(): Promise<void> {
    const { view, clock, logger, busy } = this.#options;
    try {
      await this.#measure();
    } catch (error) {
      logger.debug({ err: error }, 'the load of the region is not known');
    }
    if (this.#stopped) return;
    const intervalMs = busy() || view.load.outstanding > 0 || view.load.price > 0 ? BUSY_INTERVAL_MS : IDLE_INTERVAL_MS;
    this.#timer = clock.setTimer(intervalMs, () => void this.#round());
  }

  async #measure(): Promise<void> {
    const { bus, leftovers, view, clock, workers, workerLoad, reported } = this.#options;
    const outstanding = await leftovers.openOf(await bus.streamState('TASKS'));
    if (this.#stopped) return;
    const count = workers();
    const { slots, settled, onTheWay } = workerLoad();
    const capacity = count > 0 ? view.facts.capacity : 0;
    const nowMs = clock.nowMs();
    const done = Math.min(settled, outstanding);
    const contending = Math.max(0, outstanding - done - onTheWay);
    this.#price.observe({ contending, slots: count === 0 ? 0 : Math.max(slots, count) }, clock.monotonicMs());
    this.#measuredMs = nextMeasuredMs(this.#measuredMs, nowMs);
    view.heard(nowMs);
    const measured = { settled: done, slots, workers: count, measuredMs: this.#measuredMs };
    view.reported({ outstanding, capacity, price: this.#price.priceMs, ...measured }, nowMs);
    reported();
    this.#publish();
  }

  #publish(): void {
    const { bus, view, clock, modelDigests, claimsAhead, tell } = this.#options;
    const { outstanding, capacity, price, workers = 0, settled = 0, slots = 0, measuredMs = 0 } = view.load;
    const text = `${outstanding} ${settled} ${capacity} ${price} ${workers} ${slots}`;
    const nowMs = clock.monotonicMs();
    if (text === this.#lastText && nowMs - this.#lastMs < REPORT_INTERVAL_MS) return;
    this.#lastText = text;
    this.#lastMs = nowMs;
    const models = modelDigests()
      .slice(0, MODELS_MAX)
      .map((modelDigest) => ({ modelDigest, serviceMs: view.serviceMs(modelDigest) ?? 0 }));
    const report = { outstanding, settled, capacity, price, workers, slots, measuredUnixMs: BigInt(measuredMs) };
    const ahead = claimsAheadOf(claimsAhead());
    const data = { region: view.facts.name, ...report, models, ...(ahead && { claimsAhead: ahead }) };
    bus.publish(subject('telemetry', { origin: view.facts.name }), { type: 'meridian.telemetry.load.v1', data });
    tell(report);
  }
}

/** Later than the last one, unless the clock was set back by more than what reports are told apart by. */
export function nextMeasuredMs(lastMs: number, nowMs: number): number {
  const next = Math.round(nowMs);
  return next > lastMs || next < lastMs - CLOCK_STEP_MS ? next : lastMs + 1;
}
