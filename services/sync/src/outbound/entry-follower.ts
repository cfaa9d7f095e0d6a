import { VersionVector } from '@meridian/causality';
import type { Entry } from '@meridian/replica';
import type { Clock, Logger } from '@meridian/runtime';
import type { Replicator } from '../replicator/replicator.ts';

export interface EntryFollowerOptions {
  readonly replicator: Pick<Replicator, 'watch'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called for every entry there is, then for each one that changes. Must not wait: entries in between would be missed. */
  readonly onEntry: (entry: Entry) => void;
}

const RETRY_MS = 1_000;

/** Reads along what readers see, from inside of the process. */
export class EntryFollower {
  readonly #options: EntryFollowerOptions;
  readonly #stopped = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(options: EntryFollowerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { replicator, clock, logger, onEntry } = this.#options;
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      try {
        for await (const { entries } of replicator.watch(VersionVector.EMPTY, signal)) entries.forEach(onEntry);
      } catch (error) {
        logger.error({ err: error }, 'the state could not be followed; beginning anew');
      }
      // A watch also ends when the replicator stops, before this does.
      await clock.sleep(RETRY_MS, signal).catch(() => undefined);
    }
  }
}
