import { type SyncInterval, syncIntervals } from '@meridian/placement';
import { PushMeter, RoundMeter } from './link-traffic.ts';

/** As regions.yaml has it. */
export interface LinkFacts {
  readonly roundTripMs: number;
  /** Each way. */
  readonly bandwidthMbps: number;
}

export interface LinkIntervalsOptions {
  /** As configured: what a link with room has. */
  readonly intervalMinMs: number;
  /** What a slow link may make of it. Below the least it is the least. */
  readonly intervalMaxMs: number;
  /** Undefined for a region that regions.yaml does not have. */
  readonly linkTo: (peer: string) => LinkFacts | undefined;
  /** Monotonic. */
  readonly nowMs: () => number;
}

/** How often a peer is asked, and what that was decided by. */
export interface LinkStatus {
  readonly intervalMs: number;
  /** `unmeasured`: no round without news has been seen yet. */
  readonly by: SyncInterval['by'] | 'unmeasured';
  readonly reason: string;
  /** 0 while not measured. */
  readonly roundBytes: number;
  readonly deltaBytesPerSecond: number;
  /** The least of the last rounds; before them as configured. 0: not known. */
  readonly roundTripMs: number;
  /** As configured; 0: not known. */
  readonly bandwidthMbps: number;
}

/** Part of a link that rounds and deltas may take; the rest is for claims, pictures and weights. */
const SHARE = 0.1;

/**
 * How long to wait between two rounds with each peer: `syncIntervals` of what rounds and deltas send.
 *
 * 1. Until a round without news has been measured, an interval is the configured one; it is never below that.
 * 2. What is shown of a link is what its last decision was made from.
 */
export class LinkIntervals {
  readonly #options: LinkIntervalsOptions;
  readonly #rounds = new Map<string, RoundMeter>();
  readonly #decided = new Map<string, LinkStatus>();
  /** Deltas go to all peers alike. */
  readonly #pushes = new PushMeter();

  constructor(options: LinkIntervalsOptions) {
    this.#options = options;
  }

  /** A delta went out. */
  pushed(bytes: number): void {
    this.#pushes.add(bytes, this.#options.nowMs());
  }

  /** A whole round brought nothing new. @param bytes of question and answer @param tookMs from one to the other */
  idleRound(peer: string, bytes: number, tookMs: number): void {
    const rounds = this.#rounds.get(peer) ?? new RoundMeter();
    this.#rounds.set(peer, rounds);
    rounds.add(bytes, tookMs);
  }

  /** After a round. @returns how long to wait until the next one, ms */
  decide(peer: string): number {
    const status = this.#decisionOn(peer);
    this.#decided.set(peer, status);
    return status.intervalMs;
  }

  /** As decided last. */
  statusOf(peer: string): LinkStatus {
    return this.#decided.get(peer) ?? this.#decisionOn(peer);
  }

  #decisionOn(peer: string): LinkStatus {
    const { intervalMinMs, intervalMaxMs, linkTo, nowMs } = this.#options;
    const [link, rounds] = [linkTo(peer), this.#rounds.get(peer)];
    const roundTripMs = rounds?.roundTripMs ?? link?.roundTripMs ?? 0;
    const deltaBytesPerSecond = this.#pushes.perSecond(nowMs());
    const roundBytes = rounds?.bytes ?? 0;
    const facts = { roundBytes, deltaBytesPerSecond, roundTripMs, bandwidthMbps: link?.bandwidthMbps ?? 0 };
    if (link === undefined || roundBytes === 0) {
      const why = link === undefined ? 'regions.yaml has no link to it' : 'no round without news has been measured yet';
      const reason = `${intervalMinMs / 1_000} s: as configured; ${why}`;
      return { ...facts, intervalMs: intervalMinMs, by: 'unmeasured', reason };
    }
    const bounds = { intervalMinMs, intervalMaxMs: Math.max(intervalMinMs, intervalMaxMs), share: SHARE };
    const [decided] = syncIntervals([{ peer, ...facts }], bounds);
    const { intervalMs, by, reason } = decided as SyncInterval;
    return { ...facts, intervalMs, by, reason };
  }
}
