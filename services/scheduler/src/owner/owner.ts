import { Failure } from '@meridian/failure';
import type { MessageBus } from '@meridian/messaging';
import type { Clock, Component, Logger, Timer } from '@meridian/runtime';
import type { EventPublisher } from '../outbound/event-publisher.ts';
import type { JobStore } from '../outbound/job-store.ts';
import type { RegionView } from '../placement/region-view.ts';
import type { Spool } from '../spool/spool.ts';
import type { Dispatcher } from '../tasks/dispatcher.ts';
import type { JobEndings } from './job-endings.ts';
import type { PlacementNews } from './placement-news.ts';
import type { WorkerStreams } from './worker-streams.ts';

export interface OwnerOptions {
  readonly bus: MessageBus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly regions: ReadonlyMap<string, RegionView>;
  readonly store: JobStore;
  readonly spool: Spool;
  readonly events: EventPublisher;
  readonly endings: JobEndings;
  readonly news: PlacementNews;
  readonly streams: WorkerStreams;
  /** Made once the term is known. */
  readonly createDispatcher: (term: number) => Dispatcher;
  readonly recover: () => Promise<{ running: number; ended: number }>;
  readonly wake: () => void;
  /** Resolves when the registry of models is known. */
  readonly caughtUp: Promise<void>;
}

/** Deadlines, heartbeats and health are looked at this often: the resolution of all time-outs here. */
const TICK_MS = 50;
/** A tick that comes later than this found the process unable to listen. */
const DEAF_MS = 250;
/** Without the registry jobs would run with guessed model facts; a region must start even when it stays away. */
const CAUGHT_UP_TIMEOUT_MS = 10_000;

/**
 * The life of this replica as an owner of tasks: a term, the jobs of its earlier lives, then ticks.
 *
 * 1. No claim is published before the term is durable and the jobs are read back.
 * 2. Time in which this process did not run is not counted as anybody else's silence.
 * 3. Draining waits for calls; jobs are durable and go on in the next life.
 */
export class Owner implements Component {
  readonly name = 'owner';
  readonly #o: OwnerOptions;
  #dispatcher: Dispatcher | undefined;
  #started = false;
  #timer: Timer | undefined;
  #unlisten: (() => void) | undefined;
  #tickedMs = 0;
  #steadyMs = 0;

  constructor(options: OwnerOptions) {
    this.#o = options;
  }

  /** @throws Failure UNAVAILABLE / STARTING before the start is complete. Retryable. */
  get dispatcher(): Dispatcher {
    if (this.#dispatcher === undefined)
      throw new Failure('UNAVAILABLE', 'the scheduler is starting', { reason: 'STARTING', retryDelayMs: 500 });
    return this.#dispatcher;
  }

  /** The jobs of earlier lives are known, and claims may be published. */
  get started(): boolean {
    return this.#started;
  }

  async start(): Promise<void> {
    const { store, spool, bus, clock, logger, createDispatcher, recover, wake, caughtUp } = this.#o;
    await spool.open();
    const waited = new AbortController();
    const late = clock.sleep(CAUGHT_UP_TIMEOUT_MS, waited.signal).catch(() => undefined);
    await Promise.race([caughtUp, late]);
    waited.abort();
    const term = await store.raiseTerm();
    this.#dispatcher = createDispatcher(term);
    const recovered = await recover();
    logger.info({ term, ...recovered, pictures: spool.pictures }, 'jobs read back');
    this.#unlisten = bus.onStatus((status) => {
      logger.warn({ status }, 'broker');
      if (status === 'connected') wake();
    });
    this.#tickedMs = clock.nowMs();
    this.#steadyMs = clock.monotonicMs();
    this.#started = true;
    this.#tick();
  }

  /** Results that are being written are written, events that wait are published; calls have ended with their streams. */
  async drain(signal: AbortSignal): Promise<void> {
    this.#o.news.flush();
    const flushed = Promise.all([this.#o.endings.flush(), this.#o.events.flush()]);
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    await Promise.race([flushed, aborted]);
  }

  stop(): Promise<void> {
    this.#timer?.cancel();
    this.#unlisten?.();
    this.#o.streams.endAll(new Failure('UNAVAILABLE', 'the scheduler is stopping', { reason: 'STOPPING' }));
    this.#o.store.stop();
    this.#o.endings.stop();
    this.#o.events.stop();
    return Promise.resolve();
  }

  #tick(): void {
    const { clock, regions, streams, news } = this.#o;
    const nowMs = clock.nowMs();
    const steadyMs = clock.monotonicMs();
    const deafMs = steadyMs - this.#steadyMs > DEAF_MS ? steadyMs - this.#steadyMs - TICK_MS : 0;
    // Silence of regions is measured on the wall clock: a jump of it is nobody's silence either.
    const jumpMs = nowMs - this.#tickedMs - (steadyMs - this.#steadyMs);
    const excusedMs = deafMs + (Math.abs(jumpMs) > DEAF_MS ? jumpMs : 0);
    if (excusedMs !== 0) for (const view of regions.values()) view.excuse(excusedMs);
    this.#tickedMs = nowMs;
    this.#steadyMs = steadyMs;
    streams.tick(deafMs);
    this.dispatcher.tick(nowMs);
    news.flush();
    this.#timer = clock.setTimer(TICK_MS, () => this.#tick());
  }
}
