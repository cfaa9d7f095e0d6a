import { VersionVector } from '@meridian/causality';
import { type Entry, parseStateKey } from '@meridian/replica';
import { entryBytes } from '../replication/dotted-causal-container.ts';

/** What a watch reads. */
export interface Watchable {
  /** Complete, with ended lives. */
  readonly vector: VersionVector;
  /** Deletions that were dropped. */
  readonly collected: VersionVector;
  /** Its log was lost, and the peers have not sent yet what they have. */
  readonly isRecovering: boolean;
  readonly view: { get(key: string): Entry | undefined; entries(): Iterable<Entry> };
}

export interface Update {
  /** Without versions: nothing is left of the key. */
  readonly entries: readonly Entry[];
  readonly vector: VersionVector;
  /** All that was known when the entries were gathered has been sent. */
  readonly caughtUp: boolean;
  /** The reader may have missed deletions, or has what is nowhere any more: once it has caught up, this is all there is. */
  readonly isWhole: boolean;
}

/** One message. Larger ones hold up the heartbeats of the connection. */
const UPDATE_BYTES_MAX = 512 * 1024;
const UPDATE_ENTRIES_MAX = 256;

/**
 * What one reader has yet to be told.
 *
 * 1. A vector is sent with or after every entry that it covers.
 * 2. A reader that begins anew is told nothing before the region has got its own state back.
 * 3. A reader that is slow gets the newest state of a key, not each one: what waits is bounded by the number of keys.
 */
export class Watch {
  readonly #source: Watchable;
  readonly #changed = new Set<string>();
  #sent: VersionVector;
  #isWhole: boolean;
  readonly #isAnew: boolean;
  #news = Promise.withResolvers<void>();

  /**
   * @param seen what the reader has, complete: only entries with an event that it lacks are sent at first
   * @param isAnew what the reader has is to be replaced by what is here
   */
  constructor(source: Watchable, seen: VersionVector, isAnew = false) {
    this.#source = source;
    this.#isAnew = isAnew;
    this.#isWhole = isAnew || !seen.dominates(source.collected);
    this.#sent = this.#isWhole ? VersionVector.EMPTY : seen;
    for (const { key, versions } of source.view.entries())
      if (this.#isWhole || versions.some(({ dot }) => !seen.contains(dot))) this.#changed.add(key);
    this.#news.resolve();
  }

  notify(keys: readonly string[]): void {
    for (const key of keys) this.#changed.add(key);
    this.#news.resolve();
  }

  /** Ends when the signal is aborted. */
  async *updates(signal: AbortSignal): AsyncGenerator<Update, void, undefined> {
    const stop = () => this.#news.resolve();
    signal.addEventListener('abort', stop, { once: true });
    try {
      while (!signal.aborted) {
        await this.#news.promise;
        if (signal.aborted) return;
        this.#news = Promise.withResolvers<void>();
        if (!(this.#isAnew && this.#source.isRecovering)) yield* this.#flush();
      }
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** Entries and vector are those of one moment; the vector goes with the last of the messages. */
  *#flush(): Iterable<Update> {
    const { vector, view } = this.#source;
    // Lists of ended lives first: without them a reader cannot tell what the contexts of the others mean.
    const keys = [...this.#changed].sort((a, b) => rank(a) - rank(b));
    // A key that was collected has to be told: its deletion may not have been, and nobody need remember it any more.
    const entries = keys.map((key) => view.get(key) ?? { key, versions: [], context: vector });
    this.#changed.clear();
    const batches = inBatches(entries);
    const last = batches.pop() ?? [];
    const isWhole = this.#isWhole;
    for (const batch of batches) yield { entries: batch, vector: this.#sent, caughtUp: false, isWhole };
    this.#sent = vector;
    yield { entries: last, vector, caughtUp: true, isWhole };
    this.#isWhole = false;
  }
}

function rank(key: string): number {
  return parseStateKey(key)?.kind === 'epochs' ? 0 : 1;
}

function inBatches(entries: readonly Entry[]): (readonly Entry[])[] {
  const batches: Entry[][] = [];
  let bytes = 0;
  for (const entry of entries) {
    const batch = batches.at(-1);
    bytes += entryBytes(entry);
    if (batch === undefined || batch.length >= UPDATE_ENTRIES_MAX || bytes > UPDATE_BYTES_MAX) {
      batches.push([entry]);
      bytes = entryBytes(entry);
    } else batch.push(entry);
  }
  return batches;
}
