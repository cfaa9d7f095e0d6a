import { subject } from '@meridian/contracts';
import type { LoadReport } from '@meridian/contracts/telemetry';
import type { MessageBus, Subscription } from '@meridian/messaging';
import type { Clock, Component, Timer } from '@meridian/runtime';
import type { LoadNews, RegionView } from '../placement/region-view.ts';

export interface PeerProbeOptions {
  readonly bus: MessageBus;
  readonly region: string;
  readonly regions: ReadonlyMap<string, RegionView>;
  readonly clock: Clock;
  readonly pingIntervalMs: number;
  /** A region was heard of, or said something about its load. */
  readonly heard: () => void;
}

/** A ping without an answer is forgotten after this long: longer than any link's round trip, so three may be under way. */
const PING_TIMEOUT_MS = 1500;

/** Asks the schedulers of all other regions for signs of life, answers theirs, and listens to what they say of their load. */
export class PeerProbe implements Component {
  readonly name = 'peer probe';
  readonly #options: PeerProbeOptions;
  readonly #subscriptions: Subscription[] = [];
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: PeerProbeOptions) {
    this.#options = options;
  }

  start(): Promise<void> {
    const { bus, region } = this.#options;
    const pong = { type: 'meridian.region.pong.v1' as const, data: { region } };
    this.#subscriptions.push(
      bus.serve(subject('ping', { target: region }), 'meridian.region.ping.v1', async ({ envelope }) => ({
        ...pong,
        causes: [envelope],
      })),
      bus.subscribe(subject('telemetry', { origin: '*' }), 'meridian.telemetry.load.v1', ({ data }) =>
        this.#report(data),
      ),
    );
    this.#pingAll();
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    return Promise.resolve();
  }

  #pingAll(): void {
    const { clock, pingIntervalMs, regions, region } = this.#options;
    for (const [name, view] of regions) if (name !== region) void this.#ping(name, view);
    this.#timer = clock.setTimer(pingIntervalMs, () => this.#pingAll());
  }

  async #ping(name: string, view: RegionView): Promise<void> {
    const { bus, region, clock, heard } = this.#options;
    const event = { type: 'meridian.region.ping.v1' as const, data: { region } };
    const startMs = clock.monotonicMs();
    try {
      await bus.request(subject('ping', { target: name }), event, 'meridian.region.pong.v1', {
        timeoutMs: PING_TIMEOUT_MS,
      });
    } catch {
      // Silence is what the region's view counts; there is nothing to add.
      return;
    }
    if (this.#stopped) return;
    view.measured(clock.monotonicMs() - startMs);
    view.heard(clock.nowMs());
    heard();
  }

  #report(report: LoadReport): void {
    const { regions, region, clock, heard } = this.#options;
    const view = regions.get(report.region);
    if (view === undefined || report.region === region) return;
    view.heard(clock.nowMs());
    view.reported(newsOf(report), clock.nowMs());
    heard();
  }
}

function newsOf(report: LoadReport): LoadNews {
  const { outstanding, capacity, price, workers, models } = report;
  const serviceMs = new Map(models.filter((model) => model.serviceMs > 0).map((m) => [m.modelDigest, m.serviceMs]));
  return { outstanding, capacity, price, workers, serviceMs };
}
