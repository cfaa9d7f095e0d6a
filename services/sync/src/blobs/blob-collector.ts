import type { Clock, Component, Logger, Timer } from '@meridian/runtime';
import type { BlobReplicator } from './blob-replicator.ts';
import type { BlobStore } from './blob-store.ts';

export interface BlobCollectorOptions {
  readonly store: BlobStore;
  readonly blobReplicator: Pick<BlobReplicator, 'named' | 'removed'>;
  readonly graceMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Between two looks, or the grace when that is shorter. */
const LOOK_EVERY_MS = 60_000;

/**
 * Removes weights that no model names any more.
 *
 * 1. Only what no known model has named at any look for the whole grace, in this life of the process, is removed.
 * 2. An upload that found weights here begins their grace anew: its record names them soon.
 * 3. Installed catalogues are never touched.
 */
export class BlobCollector implements Component {
  readonly name = 'blob collection';
  readonly #o: BlobCollectorOptions;
  readonly #unnamedSinceMs = new Map<string, number>();
  #timer: Timer | undefined;
  #looking: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(options: BlobCollectorOptions) {
    this.#o = options;
  }

  start(): Promise<void> {
    this.#schedule();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#looking;
  }

  #schedule(): void {
    if (this.#isStopped) return;
    this.#timer = this.#o.clock.setTimer(Math.min(this.#o.graceMs, LOOK_EVERY_MS), () => {
      this.#looking = this.#look()
        .catch((error) => this.#o.logger.error({ err: error }, 'weights that nobody names could not be removed'))
        .finally(() => this.#schedule());
    });
  }

  async #look(): Promise<void> {
    const { store, blobReplicator, graceMs, clock } = this.#o;
    const found = await store.digests();
    const nowMs = clock.monotonicMs();
    const named = blobReplicator.named();
    const offered = store.takeOffered();
    const unnamed = new Set(found.filter((digest) => !named.has(digest)));
    for (const digest of this.#unnamedSinceMs.keys())
      if (!unnamed.has(digest) || offered.has(digest)) this.#unnamedSinceMs.delete(digest);
    for (const digest of unnamed) {
      const sinceMs = this.#unnamedSinceMs.get(digest) ?? nowMs;
      this.#unnamedSinceMs.set(digest, sinceMs);
      if (nowMs - sinceMs >= graceMs) await this.#remove(digest);
    }
  }

  async #remove(digest: string): Promise<void> {
    const { store, blobReplicator, logger } = this.#o;
    this.#unnamedSinceMs.delete(digest);
    await store.remove(digest);
    blobReplicator.removed(digest);
    logger.info({ digest }, 'weights that no model names any more were removed');
  }
}
