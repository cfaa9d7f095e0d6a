import { formatDot } from '@meridian/causality';
import { type Entry, isConflicted } from '@meridian/replica';

export type ConflictVerb = 'found' | 'changed' | 'resolved';

export interface ConflictChange {
  readonly verb: ConflictVerb;
  readonly entry: Entry;
  /** Names the set of versions. */
  readonly dots: string;
}

/** Conflicts that are remembered: more than an operator will ever look at. */
const CONFLICTS_MAX = 4_096;

/**
 * Finds out when a key's versions begin to differ, change while they do, and agree again.
 *
 * 1. A pure function of the entries that it is given, in their order: the same set of versions is told once.
 * 2. Beyond its bound a conflict is found again with each change, and its end is not told.
 */
export class ConflictWatch {
  /** Dots of each conflicted key. */
  readonly #open: Map<string, string>;

  /** @param open conflicts that are known already: dots by key */
  constructor(open: Iterable<readonly [key: string, dots: string]> = []) {
    this.#open = new Map(open);
  }

  /** Keys of the conflicts that are remembered. */
  get open(): Iterable<string> {
    return this.#open.keys();
  }

  update(entry: Entry): ConflictChange | undefined {
    const { key } = entry;
    const known = this.#open.get(key);
    const dots = dotsOf(entry);
    if (isConflicted(entry)) {
      if (known === dots) return undefined;
      if (known !== undefined || this.#open.size < CONFLICTS_MAX) this.#open.set(key, dots);
      return { verb: known === undefined ? 'found' : 'changed', entry, dots };
    }
    if (!this.#open.delete(key)) return undefined;
    return { verb: 'resolved', entry, dots };
  }
}

function dotsOf({ versions }: Entry): string {
  return versions.map(({ dot }) => formatDot(dot)).join();
}
