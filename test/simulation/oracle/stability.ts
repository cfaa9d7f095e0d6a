import { IdSet } from './id-set.ts';
import type { StoreFacts } from './store-facts.ts';
import type { WriteFact, WriteFacts } from './write-facts.ts';

/**
 * Which deletions may be forgotten: those that every member's disk has had, the unreachable members included. A region that
 * an operator ever took out is not waited for.
 */
export class Stability {
  readonly #writes: WriteFacts;
  readonly #everHad: ReadonlyMap<string, IdSet>;
  readonly #removed = new Set<string>();
  readonly #stable = new IdSet();
  /** Deletions that some region has forgotten. */
  readonly collected = new IdSet();

  constructor(writes: WriteFacts, regions: readonly string[]) {
    this.#writes = writes;
    this.#everHad = new Map(regions.map((region) => [region, new IdSet()]));
  }

  removed(region: string): void {
    this.#removed.add(region);
  }

  had(store: StoreFacts, ids: IdSet): void {
    this.#everHad.get(store.region)?.addAll(ids);
  }

  isStable(fact: WriteFact): boolean {
    if (this.#stable.has(fact.id)) return true;
    if (fact.value !== undefined || !fact.isDurable) return false;
    for (const [region, had] of this.#everHad) if (!this.#removed.has(region) && !had.has(fact.id)) return false;
    this.#stable.add(fact.id);
    return true;
  }

  /** Stable deletions that had read the write, or are it: whoever knows one of them need not have the write. */
  *thatCover(fact: WriteFact): Iterable<WriteFact> {
    for (const other of this.#writes.ofKey(fact.key))
      if ((other === fact || other.history?.has(fact.id) === true) && this.isStable(other)) yield other;
  }

  /** Takes down that the store knows a deletion that nobody holds any more. */
  learn(store: StoreFacts, deletion: WriteFact): void {
    const past = this.#writes.past(deletion);
    store.known.addAll(past);
    this.had(store, past);
  }
}
