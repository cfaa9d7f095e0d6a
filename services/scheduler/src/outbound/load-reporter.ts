import { subject } from '@meridian/contracts';
import type { MessageBus } from '@meridian/messaging';
import type { Clock, Component, Logger, Timer } from '@meridian/runtime';
import type { RegionView } from '../placement/region-view.ts';
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
  readonly reported: () => void;
}

const BUSY_INTERVAL_MS = 100;
/** Three times within the time after which a region is suspect. */
const IDLE_INTERVAL_MS = 500;
const REPORT_INTERVAL_MS = 1000;
const MODELS_MAX = 64;

/**
 * Measures the own region's load and tells all regions: ten times a second while it changes, else once a second.
 *
 * 1. The own region is heard of only through its broker: without it, it is as silent as any other.
 * 2. A report goes out when something has changed, and at least once a second.
 */
export class LoadReporter implements Component {
  readonly name = 'load reporter';
  readonly #options: LoadReporterOptions;
  #timer: Timer | undefined;
  #stopped = false;
  #lastText = '';
  #lastMs = Number.NEGATIVE_INFINITY;

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
    const intervalMs = busy() || view.load.outstanding > 0 ? BUSY_INTERVAL_MS : IDLE_INTERVAL_MS;
    this.#timer = clock.setTimer(intervalMs, () => void this.#round());
  }

  async #measure(): Promise<void> {
    const { bus, leftovers, view, clock, workers, reported } = this.#options;
    const outstanding = await leftovers.openOf(await bus.streamState('TASKS'));
    if (this.#stopped) return;
    const count = workers();
    const capacity = count > 0 ? view.facts.capacity : 0;
    view.heard(clock.nowMs());
    view.reported({ outstanding, capacity, price: 0, workers: count }, clock.nowMs());
    reported();
    this.#publish();
  }

  #publish(): void {
    const { bus, view, clock, modelDigests } = this.#options;
    const { outstanding, capacity, price, workers = 0 } = view.load;
    const text = `${outstanding} ${capacity} ${price} ${workers}`;
    const nowMs = clock.monotonicMs();
    if (text === this.#lastText && nowMs - this.#lastMs < REPORT_INTERVAL_MS) return;
    this.#lastText = text;
    this.#lastMs = nowMs;
    const models = modelDigests()
      .slice(0, MODELS_MAX)
      .map((modelDigest) => ({ modelDigest, serviceMs: view.serviceMs(modelDigest) ?? 0 }));
    const data = { region: view.facts.name, outstanding, capacity, price, workers, models };
    bus.publish(subject('telemetry', { origin: view.facts.name }), { type: 'meridian.telemetry.load.v1', data });
  }
}
