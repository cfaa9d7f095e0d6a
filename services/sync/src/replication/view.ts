import type { VersionVector } from '@meridian/causality';
import { assert } from '@meridian/failure';
import type { Entry } from '@meridian/replica';
import { entryBytes } from './dotted-causal-container.ts';

interface Slot {
  readonly entry: Entry;
  readonly sequence: number;
}

/**
 * The durable state: what readers see, by key.
 *
 * 1. Holds only what the log has, with the sequence of the log's message.
 * 2. Keys are kept in order, so that a fetch can go on after the last key it got.
 */
export class View {
  readonly #slots = new Map<string, Slot>();
  readonly #keys: string[] = [];

  get size(): number {
    return this.#slots.size;
  }

  get(key: string): Entry | undefined {
    return this.#slots.get(key)?.entry;
  }

  /** Of the key's last message in the log; 0 for none. */
  sequenceOf(key: string): number {
    return this.#slots.get(key)?.sequence ?? 0;
  }

  /** By key. */
  *entries(): Iterable<Entry> {
    for (const key of this.#keys) yield (this.#slots.get(key) as Slot).entry;
  }

  put(entry: Entry, sequence: number): void {
    const before = this.#slots.get(entry.key);
    assert(before === undefined || sequence > before.sequence, 'the log goes on');
    if (before === undefined) this.#keys.splice(this.#position(entry.key), 0, entry.key);
    this.#slots.set(entry.key, { entry, sequence });
  }

  /** Entries that `seen` does not cover, from the key after `afterKey` on: at least one, at most about `bytesMax`. */
  missingFrom(
    seen: VersionVector,
    afterKey: string,
    bytesMax: number,
  ): { readonly entries: readonly Entry[]; readonly nextKey: string } {
    const entries: Entry[] = [];
    let bytes = 0;
    for (let i = this.#position(afterKey); i < this.#keys.length; i++) {
      const entry = this.get(this.#keys[i] as string) as Entry;
      if (entry.key === afterKey || seen.dominates(entry.context)) continue;
      bytes += entryBytes(entry);
      const last = entries.at(-1);
      if (last !== undefined && bytes > bytesMax) return { entries, nextKey: last.key };
      entries.push(entry);
    }
    return { entries, nextKey: '' };
  }

  /** Index of the first key that is not before `key`. */
  #position(key: string): number {
    let [low, high] = [0, this.#keys.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#keys[middle] as string) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
