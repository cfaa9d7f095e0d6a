import { VersionVector } from '@meridian/causality';
import type { Entry } from '@meridian/replica';
import type { Clock, Logger } from '@meridian/runtime';
import type { Replicator } from '../replicator/replicator.ts';

export interface EntryFollowerOptions {
  readonly replicator: Pick<Replicator, 'watch'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /**
   * Called for every entry there is, then for each one that changes; without versions for a key of which nothing is left.
   * Must not wait: entries in between would be missed.
   */
  readonly onEntry: (entry: Entry) => void;
  /** Keys that the reader remembers: it is told of those that have gone while nothing was followed. */
  readonly remembered: () => Iterable<string>;
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
    const { clock, logger } = this.#options;
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      try {
        await this.#follow(signal);
      } catch (error) {
        logger.error({ err: error }, 'the state could not be followed; beginning anew');
      }
      // A watch also ends when the replicator stops, before this does.
      await clock.sleep(RETRY_MS, signal).catch(() => undefined);
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { replicator, onEntry, remembered } = this.#options;
    const found = new Set<string>();
    let isBehind = true;
    for await (const { entries, vector, caughtUp } of replicator.watch(VersionVector.EMPTY, signal)) {
      entries.forEach(onEntry);
      if (!isBehind) continue;
      for (const { key } of entries) found.add(key);
      if (!caughtUp) continue;
      isBehind = false;
      const gone = Array.from(remembered()).filter((key) => !found.has(key));
      for (const key of gone) onEntry({ key, versions: [], context: vector });
      found.clear();
    }
  }
}
