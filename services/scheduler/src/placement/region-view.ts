import { Fifo } from '../tasks/fifo.ts';
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

/** What a region says of itself. */
export interface LoadNews {
  /** Claims waiting in its queues or being worked on. */
  readonly outstanding: number;
  readonly capacity: number;
  readonly price: number;
  readonly workers?: number;
  readonly serviceMs?: ReadonlyMap<string, number>;
}

const SERVICE_WEIGHT = 0.2;

/**
 * One region as this scheduler sees it.
 *
 * 1. Health follows silence alone: any word from the region's scheduler makes it up; nothing else does.
 * 2. `outstanding` is the last report, plus our own placements that it cannot have counted (those of the last round trip
 *    before it arrived and all since), less our own attempts that have ended since.
 * 3. A region that was never heard of is suspect, and down after `downMs` like any other.
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
  /** Workers of that region with a stream to us: they count even before the region reports them. */
  streams = 0;

  constructor(facts: RegionFacts, limits: HealthLimits, nowMs: number) {
    this.facts = facts;
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

  get outstanding(): number {
    return Math.max(0, this.#load.outstanding + this.#placed.size - this.#ended.size);
  }

  get hasWorkers(): boolean {
    return this.streams > 0 || (this.#load.workers ?? 0) > 0;
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

  reported(news: LoadNews, nowMs: number): void {
    this.#load = { ...this.#load, ...news };
    this.#reportedMs = nowMs;
    // The report left half a round trip ago, and a claim takes half of one to arrive there. A result, on the other hand,
    // is acknowledged there before long: what ended before the report arrived is nearly always counted.
    forget(this.#placed, nowMs - this.roundTripMs);
    forget(this.#ended, nowMs - this.roundTripMs / 2);
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
  }
}

function forget(times: Fifo<number>, untilMs: number): void {
  for (let at = times.peek(); at !== undefined && at <= untilMs; at = times.peek()) times.shift();
}
