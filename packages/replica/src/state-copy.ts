import { VersionVector } from '@meridian/causality';
import { AliasIndex } from './alias-index.ts';
import { EndedEpochs } from './ended-epochs.ts';
import type { Entry } from './entry.ts';
import { ModelIndex } from './model-index.ts';

/**
 * Entries as a watch brought them, and what is found by them.
 *
 * 1. `vector` never goes back, and everything it contains has been applied to the entries, or is superseded by what has.
 * 2. An entry never gives way to an older state of the same key.
 */
export class StateCopy {
  readonly models = new ModelIndex();
  readonly aliases = new AliasIndex();
  readonly ended = new EndedEpochs();
  readonly #entries = new Map<string, Entry>();
  #vector = VersionVector.EMPTY;

  /** With the ended lives that what travels leaves out. */
  get vector(): VersionVector {
    return this.#vector;
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  /** In no particular order. */
  entries(): Iterable<Entry> {
    return this.#entries.values();
  }

  /** @returns keys of records that cannot be read. */
  apply(entries: readonly Entry[], vector: VersionVector): string[] {
    // Lists of ended lives first: without them the contexts of the others mean less than they say.
    for (const entry of entries) this.ended.update(entry);
    const unreadable = entries.filter((entry) => !this.#applyEntry(entry)).map(({ key }) => key);
    // After the entries: the vector may only promise what can be read.
    this.#vector = this.ended.inward(this.#vector.merge(vector));
    return unreadable;
  }

  #applyEntry(entry: Entry): boolean {
    const context = this.ended.inward(entry.context);
    const current = this.#entries.get(entry.key);
    if (current?.context.compare(context) === 'after') return true;
    if (entry.versions.length === 0) this.#entries.delete(entry.key);
    else this.#entries.set(entry.key, { ...entry, context });
    return this.models.update(entry) && this.aliases.update(entry);
  }
}
