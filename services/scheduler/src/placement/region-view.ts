import { Fifo } from '../tasks/fifo.ts';
import type { LoadNews } from './load-news.ts';
import { RoundTrip } from './round-trip.ts';

export type Health = 'up' | 'suspect' | 'down';

export interface HealthLimits {
  /** Silence after which nothing new is placed. Shorter reacts faster, but to mere jitter too. */
  readonly suspectMs: number;
  /** Silence after which what was placed is placed elsewhere. */
  readonly downMs: number;
}

export interface RegionFacts {
  readonly name: string;
  readonly zone: string;
  /** Configured; used until measured. */
  readonly roundTripMs: number;
  readonly bandwidthMbps: number;
  readonly capacity: number;
}

const SERVICE_WEIGHT = 0.2;
/** Without a newer report for this long a region is no target. Reports come at least every 1.5 s. */
const REPORT_AGE_MAX_MS = 3_000;
/** A report that seems this much older than the last one comes from a clock that was set back, not from the past. */
export const CLOCK_STEP_MS = 10_000;

/**
 * One region as this scheduler sees it.
 *
 * 1. Health follows silence alone: any word from the region's scheduler makes it up; nothing else does.
 * 2. `ahead` is what the last report counts as still to be done, plus our own placements that it cannot have counted
 *    (those of the last round trip before it arrived and all since), less our own attempts that have ended since.
 * 3. Reports come by telemetry and ride on results and heartbeats, in any order: one that was not measured later than the
 *    last one changes nothing.
 * 4. A region without a report, or whose last one is old, is `isStale`: not judged by what may have changed.
 * 5. A region that was never heard of is suspect, and down after `downMs` like any other.
 */
export class RegionView {
  readonly facts: RegionFacts;
  readonly #limits: HealthLimits;
  readonly #roundTrip = new RoundTrip();
  readonly #placed = new Fifo<number>();
  readonly #ended = new Fifo<number>();
  readonly #serviceMs = new Map<string, number>();
  #health: Health = 'suspect';
  #heardMs: number;
  #everHeard = false;
  #load: LoadNews;
  #reportedMs = 0;
  #measuredMs = 0;
  /** The moment after which the last report is old. */
  #freshUntilMs = Number.NEGATIVE_INFINITY;
  #isStale = true;
  /** Workers of that region with a stream to us: they count even before the region reports them. */
  streams = 0;
  /** What pictures get of the link, as last measured; `LinkBandwidths` keeps it. */
  bandwidthMbps: number;

  constructor(facts: RegionFacts, limits: HealthLimits, nowMs: number) {
    this.facts = facts;
    this.bandwidthMbps = facts.bandwidthMbps;
    this.#limits = limits;
    this.#heardMs = nowMs;
    this.#load = { outstanding: 0, capacity: facts.capacity, price: 0, workers: 0 };
  }

  get health(): Health {
    return this.#health;
  }

  get heardMs(): number {
    return this.#everHeard ? this.#heardMs : 0;
  }

  get reportedMs(): number {
    return this.#reportedMs;
  }

  get load(): LoadNews {
    return this.#load;
  }

  get roundTripMs(): number {
    return this.#roundTrip.estimateMs ?? this.facts.roundTripMs;
  }

  /** Tasks that are there to be done. */
  get ahead(): number {
    const { outstanding, settled = 0 } = this.#load;
    return Math.max(0, outstanding - settled + this.unseen);
  }

  /** Our own that the last report cannot have counted, less those that it counts and that have ended since. */
  get unseen(): number {
    return this.#placed.size - this.#ended.size;
  }

  /** Pictures worked on at a time. */
  get slots(): number {
    return this.#load.slots || this.#load.workers || Math.max(1, this.streams);
  }

  get isStale(): boolean {
    return this.#isStale;
  }

  get hasWorkers(): boolean {
    return this.streams > 0 || (this.#load.workers ?? 0) > 0;
  }

  /** Processing times there of our own tasks, by model. */
  get processing(): ReadonlyMap<string, number> {
    return this.#serviceMs;
  }

  /** Measured processing time of a model there. */
  serviceMs(modelDigest: string): number | undefined {
    return this.#serviceMs.get(modelDigest) ?? this.#load.serviceMs?.get(modelDigest);
  }

  /** A sign of life. */
  heard(nowMs: number): void {
    this.#heardMs = Math.max(this.#heardMs, nowMs);
    this.#everHeard = true;
    this.#health = 'up';
  }

  measured(roundTripMs: number): void {
    this.#roundTrip.add(roundTripMs);
  }

  /**
   * @param ageMs how long the report was held on its way, beyond what the link takes
   * @returns false for old news.
   */
  reported(news: LoadNews, nowMs: number, ageMs = 0): boolean {
    const { measuredMs = 0 } = news;
    const isOld = measuredMs > 0 && measuredMs <= this.#measuredMs && measuredMs > this.#measuredMs - CLOCK_STEP_MS;
    if (isOld) return false;
    this.#measuredMs = measuredMs;
    this.#load = { ...this.#load, ...news };
    const atMs = nowMs - ageMs;
    this.#reportedMs = atMs;
    this.#freshUntilMs = atMs + REPORT_AGE_MAX_MS;
    this.#isStale = nowMs >= this.#freshUntilMs;
    // The report left half a round trip ago, and a claim takes half of one to arrive there. A result left before it was
    // here, so what ended before the report arrived is counted as done there.
    forget(this.#placed, atMs - this.roundTripMs);
    forget(this.#ended, atMs);
    return true;
  }

  placed(nowMs: number): void {
    this.#placed.push(nowMs);
  }

  ended(nowMs: number): void {
    this.#ended.push(nowMs);
  }

  processed(modelDigest: string, tookMs: number): void {
    const known = this.#serviceMs.get(modelDigest);
    this.#serviceMs.set(modelDigest, known === undefined ? tookMs : known + SERVICE_WEIGHT * (tookMs - known));
  }

  /** @returns the new health when it has changed. */
  tick(nowMs: number): Health | undefined {
    this.#isStale = nowMs >= this.#freshUntilMs;
    const silentMs = nowMs - this.#heardMs;
    const health =
      silentMs >= this.#limits.downMs ? 'down' : silentMs >= this.#limits.suspectMs ? 'suspect' : this.#health;
    if (health === this.#health) return undefined;
    this.#health = health;
    return health;
  }

  /** Time in which this process could not listen does not count as silence. */
  excuse(deafMs: number): void {
    this.#heardMs += deafMs;
    this.#freshUntilMs += deafMs;
  }
}

function forget(times: Fifo<number>, untilMs: number): void {
  for (let at = times.peek(); at !== undefined && at <= untilMs; at = times.peek()) times.shift();
}
