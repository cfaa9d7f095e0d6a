import { create, toBinary } from '@bufbuild/protobuf';
import type { VersionVector } from '@meridian/causality';
import { ReadyRecordSchema } from '@meridian/contracts/state';
import { currentValue, parseStateKey, readyKey } from '@meridian/replica';
import type { Clock, Component, Logger, Timer } from '@meridian/runtime';
import type { Cause, Change } from '../replication/protocol.ts';
import type { Replicator } from '../replicator/replicator.ts';
import { ReadyWorkers } from './ready-workers.ts';

export interface ReadinessOptions {
  readonly region: string;
  readonly replicator: Replicator;
  readonly clock: Clock;
  readonly logger: Logger;
  /**
   * After the last worker of a model left. Shorter tells the other regions sooner; longer spares two events when a worker
   * restarts, and a whole region that stops writes nothing at all (schedulers look at live load anyway).
   */
  readonly unreadyAfterMs: number;
}

const WRITE_TIMEOUT_MS = 10_000;
/** For those that reported to an earlier life of this process, from its start on: some of their repetitions. */
const EARLIER_LEASE_MS = 60_000;
/** A worker that does not promise to repeat its word. */
const NO_LEASE_MS = Number.POSITIVE_INFINITY;
export const READY_LEASE_MAX_MS = 600_000;
const LOOK_INTERVAL_MS = 5_000;

/** Keeps `ready/<region>/<digest>` in step with what the region's workers say, and with who still says it. */
export class Readiness implements Component {
  readonly name = 'readiness';
  readonly #options: ReadinessOptions;
  readonly #leaving = new Map<string, Timer>();
  #workers = new ReadyWorkers([], 0);
  #looking: Timer | undefined;

  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  start(): Promise<void> {
    this.#workers = new ReadyWorkers(this.#readyDigests(), this.#options.clock.monotonicMs() + EARLIER_LEASE_MS);
    this.#lookLater();
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#looking?.cancel();
    for (const timer of this.#leaving.values()) timer.cancel();
    this.#leaving.clear();
    return Promise.resolve();
  }

  /** Whether a worker that says so can run the model here. */
  isReady(digest: string): boolean {
    return this.#workers.isSaid(digest);
  }

  /** @returns a vector that covers the report. @throws what `Replicator.write` and {@link ReadyWorkers} throw */
  async report(
    digest: string,
    worker: string,
    word: { readonly isReady: boolean; readonly leaseMs?: number },
    cause: Cause | undefined,
  ): Promise<VersionVector> {
    const { replicator, clock } = this.#options;
    const leaseMs = Math.min(word.leaseMs ?? 0, READY_LEASE_MAX_MS) || NO_LEASE_MS;
    const verdict = word.isReady
      ? this.#workers.ready(digest, worker, clock.monotonicMs() + leaseMs)
      : this.#workers.unready(digest, worker);
    if (verdict === 'ready') {
      this.#leaving.get(digest)?.cancel();
      this.#leaving.delete(digest);
      const written = await replicator.write(this.#change(digest, true), { timeoutMs: WRITE_TIMEOUT_MS, cause });
      return written.vector;
    }
    if (verdict === 'unready-later') this.#leaveLater(digest);
    return replicator.vector;
  }

  #lookLater(): void {
    const { clock } = this.#options;
    this.#looking = clock.setTimer(LOOK_INTERVAL_MS, () => {
      for (const digest of this.#workers.expire(clock.monotonicMs())) this.#leaveLater(digest);
      this.#lookLater();
    });
  }

  #leaveLater(digest: string): void {
    const { clock, unreadyAfterMs } = this.#options;
    if (this.#leaving.has(digest)) return;
    const timer = clock.setTimer(unreadyAfterMs, () => void this.#leave(digest));
    this.#leaving.set(digest, timer);
  }

  async #leave(digest: string): Promise<void> {
    const { replicator, logger } = this.#options;
    this.#leaving.delete(digest);
    if (this.#workers.isReady(digest)) return;
    try {
      await replicator.write(this.#change(digest, false), { timeoutMs: WRITE_TIMEOUT_MS });
    } catch (error) {
      logger.warn({ err: error, digest }, 'could not write that the region is no longer ready for a model');
    }
  }

  #change(digest: string, isReady: boolean): Change {
    const { region } = this.#options;
    const record = { region, modelDigest: digest };
    const value = isReady ? toBinary(ReadyRecordSchema, create(ReadyRecordSchema, record)) : undefined;
    return { key: readyKey(region, digest), value, when: 'differs' };
  }

  *#readyDigests(): Iterable<string> {
    const { region, replicator } = this.#options;
    for (const entry of replicator.entries()) {
      const key = parseStateKey(entry.key);
      if (key?.kind === 'ready' && key.region === region && currentValue(entry) !== undefined) yield key.digest;
    }
  }
}
