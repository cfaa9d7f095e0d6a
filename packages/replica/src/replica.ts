import { type Dot, VersionVector } from '@meridian/causality';
import type { StateService, WatchResponse } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import type { RpcClient } from '@meridian/rpc';
import { backoffMs, type Clock, type Component, type Logger, type Random } from '@meridian/runtime';
import type { AliasTarget } from './alias.ts';
import type { AliasEntry } from './alias-index.ts';
import type { Entry } from './entry.ts';
import { decodeEntry } from './entry-codec.ts';
import type { ModelEntry } from './model-index.ts';
import { hasRecord, type RequiredRecord } from './required-record.ts';
import { StateCopy } from './state-copy.ts';

export interface ReplicaOptions {
  /** Of the region's own sync service. */
  readonly client: Pick<RpcClient<typeof StateService>, 'watch'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: Random;
  /** What `model('')` means. Default: the catalogue's default model. */
  readonly defaultModel?: string;
}

/** The sync service is in the same region: it is back within a second or the operator knows anyway. */
const RECONNECT = { initialMs: 50, maxMs: 1_000 };
/** One per task that waits for a record; beyond it the caller is told to come again. */
export const WAITERS_MAX = 10_000;
/** Of the catalogue; a test of the sync service compares it with the catalogue's own. */
export const DEFAULT_MODEL = 'centernet-320';

interface Waiter {
  readonly records: readonly RequiredRecord[];
  readonly resolve: (seen: boolean) => void;
}

/**
 * What this process knows of the shared state: a read-only copy that follows the region's sync service.
 *
 * 1. `vector` contains nothing that has not been applied to the entries (or is superseded by what has): it may be stamped
 *    on whatever this process emits.
 * 2. A lost stream is taken up again from `vector`; the entries stay readable meanwhile.
 * 3. Neither `vector` nor an entry goes back, unless the region itself begins anew or has lost something: then it sends the
 *    whole state, which takes the place of all that is here at once, when it is complete.
 */
export class Replica implements Component {
  readonly name = 'replica';
  readonly #options: ReplicaOptions;
  #state = new StateCopy();
  /** While the watch sends the whole state: what has come of it. */
  #next: StateCopy | undefined;
  readonly #waiters = new Set<Waiter>();
  readonly #listeners = new Set<() => void>();
  readonly #caughtUp = Promise.withResolvers<void>();
  readonly #stopped = new AbortController();
  #following: Promise<void> | undefined;

  constructor(options: ReplicaOptions) {
    this.#options = options;
  }

  /** Begins to follow; does not wait for the sync service (await {@link caughtUp} for that). */
  start(): Promise<void> {
    this.#following ??= this.#follow();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopped.abort(new Failure('CANCELLED', 'the replica is stopping'));
    await this.#following;
    for (const waiter of this.#waiters) waiter.resolve(false);
  }

  /** Resolves once all that the sync service knew when asked first has been applied. */
  get caughtUp(): Promise<void> {
    return this.#caughtUp.promise;
  }

  /** As it travels. */
  vector(): VersionVector {
    return this.#state.ended.outward(this.#state.vector);
  }

  /** Whether this process has seen all that a vector from outside means. */
  hasSeen(vector: VersionVector): boolean {
    return this.#state.vector.dominates(this.#state.ended.inward(vector));
  }

  get(key: string): Entry | undefined {
    return this.#state.get(key);
  }

  /** In no particular order. */
  *entries(prefix = ''): Iterable<Entry> {
    for (const entry of this.#state.entries()) if (entry.key.startsWith(prefix)) yield entry;
  }

  /** The winner among the versions of the name; `''` is the default model. */
  model(nameOrDefault: string): ModelEntry | undefined {
    return this.#state.models.model(nameOrDefault || (this.#options.defaultModel ?? DEFAULT_MODEL));
  }

  modelByDigest(digest: string): ModelEntry | undefined {
    return this.#state.models.modelByDigest(digest);
  }

  models(): ModelEntry[] {
    return this.#state.models.models();
  }

  /** What the alias means in tasks that enter at `region`; undefined for what is no alias. */
  aliasTarget(alias: string, region: string): AliasTarget | undefined {
    return this.#state.aliases.target(alias, region);
  }

  /** Every alias, by name, with its roll and how far the regions are. */
  aliases(): AliasEntry[] {
    const { aliases } = this.#state;
    return aliases
      .names()
      .map((name) => aliases.get(name))
      .filter((entry) => entry !== undefined);
  }

  /** Regions of which at least one worker said that it can run the model. */
  readyRegions(digest: string): ReadonlySet<string> {
    return this.#state.models.readyRegions(digest);
  }

  /** Called after each change of entries or vector. Must not throw. @returns a function that removes the listener. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Those that are not here, nor superseded by what is. */
  missing(records: readonly RequiredRecord[]): RequiredRecord[] {
    return records.filter((record) => !hasRecord(record, this.#state.get(record.key), this.#state.vector));
  }

  /** Like {@link waitForRecords}, for dots of unknown keys: waits for all that their authors wrote before as well. */
  waitFor(dots: readonly Dot[], timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    const records = dots.map((dot) => ({ key: '', dot }));
    return this.waitForRecords(records, timeoutMs, signal);
  }

  /**
   * Waits until all records are here, or newer ones of their keys. What else their authors wrote is not waited for.
   * @returns false when they were not in time, or on abort or stop.
   * @throws Failure RESOURCE_EXHAUSTED / TOO_MANY_WAITERS. Retryable.
   */
  waitForRecords(records: readonly RequiredRecord[], timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    if (this.missing(records).length === 0) return Promise.resolve(true);
    if (signal?.aborted || this.#stopped.signal.aborted || timeoutMs <= 0) return Promise.resolve(false);
    if (this.#waiters.size >= WAITERS_MAX)
      throw new Failure('RESOURCE_EXHAUSTED', 'too many tasks wait for shared state', { reason: 'TOO_MANY_WAITERS' });
    return new Promise((resolve) => {
      const giveUp = () => waiter.resolve(false);
      const waiter: Waiter = {
        records,
        resolve: (seen) => {
          this.#waiters.delete(waiter);
          timer.cancel();
          signal?.removeEventListener('abort', giveUp);
          resolve(seen);
        },
      };
      const timer = this.#options.clock.setTimer(timeoutMs, giveUp);
      signal?.addEventListener('abort', giveUp, { once: true });
      this.#waiters.add(waiter);
    });
  }

  async #follow(): Promise<void> {
    const { clock, logger, random } = this.#options;
    const { signal } = this.#stopped;
    for (let attempt = 0; !signal.aborted; attempt++) {
      const before = this.#state.vector;
      try {
        const request = { versionVector: this.vector().toString() };
        this.#next = undefined;
        for await (const response of this.#options.client.watch(request, { signal })) {
          attempt = 0;
          this.#apply(response);
        }
      } catch (error) {
        if (signal.aborted) return;
        logger.warn({ err: error, attempt, vector: before.toString() }, 'lost the sync service; trying again');
      }
      await clock.sleep(backoffMs(attempt, RECONNECT, random), signal).catch(() => undefined);
    }
  }

  #apply(response: WatchResponse): void {
    const vector = VersionVector.parse(response.versionVector);
    if (vector === undefined)
      throw new Failure('INVALID_ARGUMENT', 'the watch sent a vector that is not valid', { reason: 'VECTOR_INVALID' });
    if (response.isWhole) this.#next ??= new StateCopy();
    const unreadable = (this.#next ?? this.#state).apply(response.entries.map(decodeEntry), vector);
    for (const key of unreadable) this.#options.logger.error({ key }, 'a record cannot be read');
    if (this.#next !== undefined) {
      if (!response.caughtUp) return;
      this.#state = this.#next;
      this.#next = undefined;
    }
    if (response.caughtUp) this.#caughtUp.resolve();
    for (const waiter of this.#waiters) if (this.missing(waiter.records).length === 0) waiter.resolve(true);
    for (const listener of this.#listeners) listener();
  }
}
