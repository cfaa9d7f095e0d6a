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

/** Keeps `ready/<region>/<digest>` in step with what the region's workers report. */
export class Readiness implements Component {
  readonly name = 'readiness';
  readonly #options: ReadinessOptions;
  readonly #leaving = new Map<string, Timer>();
  #workers = new ReadyWorkers([]);

  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  start(): Promise<void> {
    this.#workers = new ReadyWorkers(this.#readyDigests());
    return Promise.resolve();
  }

  stop(): Promise<void> {
    for (const timer of this.#leaving.values()) timer.cancel();
    this.#leaving.clear();
    return Promise.resolve();
  }

  /** @returns a vector that covers the report. @throws what `Replicator.write` and {@link ReadyWorkers} throw */
  async report(digest: string, worker: string, isReady: boolean, cause: Cause | undefined): Promise<VersionVector> {
    const { replicator, clock, unreadyAfterMs } = this.#options;
    const verdict = this.#workers.report(digest, worker, isReady);
    if (verdict === 'ready') {
      this.#leaving.get(digest)?.cancel();
      this.#leaving.delete(digest);
      const written = await replicator.write(this.#change(digest, true), { timeoutMs: WRITE_TIMEOUT_MS, cause });
      return written.vector;
    }
    if (verdict === 'unready-later' && !this.#leaving.has(digest))
      this.#leaving.set(
        digest,
        clock.setTimer(unreadyAfterMs, () => void this.#leave(digest)),
      );
    return replicator.vector;
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
