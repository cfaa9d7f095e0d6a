import { subject } from '@meridian/contracts';
import type { LoadReport } from '@meridian/contracts/telemetry';
import type { MessageBus, Subscription } from '@meridian/messaging';
import type { Clock, Component, Timer } from '@meridian/runtime';
import { readReport } from '../placement/load-news.ts';
import type { RegionView } from '../placement/region-view.ts';

export interface PeerProbeOptions {
  readonly bus: MessageBus;
  readonly region: string;
  readonly regions: ReadonlyMap<string, RegionView>;
  readonly clock: Clock;
  readonly pingIntervalMs: number;
  /** A region was heard of, or said something about its load. */
  readonly heard: () => void;
  /** A message that cannot be true was left out of account. */
  readonly rejected: (what: string) => void;
}

/** A ping without an answer is forgotten after this long: longer than any link's round trip, so a few may be under way. */
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
    const { regions, region, clock, heard, rejected } = this.#options;
    const view = regions.get(report.region);
    if (view === undefined || report.region === region) return;
    view.heard(clock.nowMs());
    const news = readReport(report);
    if (news === undefined) rejected('load');
    else if (view.reported(news, clock.nowMs())) heard();
  }
}
