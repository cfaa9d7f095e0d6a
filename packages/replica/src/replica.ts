import { type Dot, VersionVector } from '@meridian/causality';
import type { StateService, WatchResponse } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import type { RpcClient } from '@meridian/rpc';
import { backoffMs, type Clock, type Component, type Logger, type Random } from '@meridian/runtime';
import type { AliasTarget } from './alias.ts';
import { type AliasEntry, AliasIndex } from './alias-index.ts';
import { EndedEpochs } from './ended-epochs.ts';
import type { Entry } from './entry.ts';
import { decodeEntry } from './entry-codec.ts';
import { type ModelEntry, ModelIndex } from './model-index.ts';
import { hasRecord, type RequiredRecord } from './required-record.ts';

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
 * 1. `vector` never goes back, and everything it contains has been applied to the entries (or is superseded by what
 *    has): it may be stamped on whatever this process emits.
 * 2. A lost stream is taken up again from `vector`; the entries stay readable meanwhile.
 * 3. An entry never gives way to an older state of the same key.
 */
export class Replica implements Component {
  readonly name = 'replica';
  readonly #options: ReplicaOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #models = new ModelIndex();
  readonly #ended = new EndedEpochs();
  /** Keys that came since the watch began, while it sends the whole state. */
  #whole: Set<string> | undefined;
  readonly #aliases = new AliasIndex();
  readonly #waiters = new Set<Waiter>();
  readonly #listeners = new Set<() => void>();
  readonly #caughtUp = Promise.withResolvers<void>();
  readonly #stopped = new AbortController();
  #vector = VersionVector.EMPTY;
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
    return this.#ended.outward(this.#vector);
  }

  /** Whether this process has seen all that a vector from outside means. */
  hasSeen(vector: VersionVector): boolean {
    return this.#vector.dominates(this.#ended.inward(vector));
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  /** In no particular order. */
  *entries(prefix = ''): Iterable<Entry> {
    for (const entry of this.#entries.values()) if (entry.key.startsWith(prefix)) yield entry;
  }

  /** The winner among the versions of the name; `''` is the default model. */
  model(nameOrDefault: string): ModelEntry | undefined {
    return this.#models.model(nameOrDefault || (this.#options.defaultModel ?? DEFAULT_MODEL));
  }

  modelByDigest(digest: string): ModelEntry | undefined {
    return this.#models.modelByDigest(digest);
  }

  models(): ModelEntry[] {
    return this.#models.models();
  }

  /** What the alias means in tasks that enter at `region`; undefined for what is no alias. */
  aliasTarget(alias: string, region: string): AliasTarget | undefined {
    return this.#aliases.target(alias, region);
  }

  /** Every alias, by name, with its roll and how far the regions are. */
  aliases(): AliasEntry[] {
    return this.#aliases
      .names()
      .map((name) => this.#aliases.get(name))
      .filter((entry) => entry !== undefined);
  }

  /** Regions of which at least one worker said that it can run the model. */
  readyRegions(digest: string): ReadonlySet<string> {
    return this.#models.readyRegions(digest);
  }

  /** Called after each change of entries or vector. Must not throw. @returns a function that removes the listener. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Those that are not here, nor superseded by what is. */
  missing(records: readonly RequiredRecord[]): RequiredRecord[] {
    return records.filter((record) => !hasRecord(record, this.#entries.get(record.key), this.#vector));
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
      const before = this.#vector;
      try {
        const request = { versionVector: this.vector().toString() };
        this.#whole = undefined;
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
    if (response.isWhole) this.#whole ??= new Set();
    const entries = response.entries.map(decodeEntry);
    // Lists of ended lives first: without them the contexts of the others mean less than they say.
    for (const entry of entries) this.#ended.update(entry);
    for (const entry of entries) this.#applyEntry(entry);
    const vector = VersionVector.parse(response.versionVector);
    if (vector === undefined)
      throw new Failure('INVALID_ARGUMENT', 'the watch sent a vector that is not valid', { reason: 'VECTOR_INVALID' });
    // After the entries: the vector may only promise what can be read.
    this.#vector = this.#ended.inward(this.#vector.merge(vector));
    if (response.caughtUp) this.#dropUnsent(vector);
    if (response.caughtUp) this.#caughtUp.resolve();
    for (const waiter of this.#waiters) if (this.missing(waiter.records).length === 0) waiter.resolve(true);
    for (const listener of this.#listeners) listener();
  }

  #applyEntry(entry: Entry): void {
    this.#whole?.add(entry.key);
    const context = this.#ended.inward(entry.context);
    const current = this.#entries.get(entry.key);
    if (current?.context.compare(context) === 'after') return;
    this.#entries.set(entry.key, { ...entry, context });
    if (!this.#models.update(entry)) this.#options.logger.error({ key: entry.key }, 'model record cannot be read');
    if (!this.#aliases.update(entry)) this.#options.logger.error({ key: entry.key }, 'alias record cannot be read');
  }

  /** The region dropped deletions that this process has not seen: what it did not send any more is gone. */
  #dropUnsent(vector: VersionVector): void {
    const sent = this.#whole;
    this.#whole = undefined;
    if (sent === undefined) return;
    for (const [key, { versions }] of this.#entries) {
      if (sent.has(key) || !versions.every(({ dot }) => this.#vector.contains(dot))) continue;
      this.#entries.delete(key);
      const gone = { key, versions: [], context: vector };
      this.#models.update(gone);
      this.#aliases.update(gone);
    }
  }
}
