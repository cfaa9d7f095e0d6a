import { Violation } from '../violation.ts';
import { IdSet } from './id-set.ts';
import type { StoreFacts } from './store-facts.ts';
import type { WriteFact, WriteFacts } from './write-facts.ts';

/**
 * Which writes may be lost: those that only a store held that was wiped, went back to an older copy, or belongs to a region
 * that an operator took out. Everything else that was acknowledged, or only stored, must be there in the end.
 */
export class Losses {
  readonly #writes: WriteFacts;
  /** Of members, clones included. */
  readonly #stores = new Set<StoreFacts>();
  readonly #mayBeLost = new IdSet();
  readonly #removed = new Set<string>();

  constructor(writes: WriteFacts) {
    this.#writes = writes;
  }

  joined(store: StoreFacts): void {
    this.#stores.add(store);
  }

  left(store: StoreFacts): void {
    if (this.#stores.delete(store)) this.#note(store.known);
  }

  /** An operator's decision. */
  removed(region: string): void {
    this.#removed.add(region);
    for (const store of [...this.#stores]) if (store.region === region) this.left(store);
  }

  /** A region that does not know yet that it was taken out goes on writing. */
  stored(store: StoreFacts): void {
    if (!this.#stores.has(store)) this.#note(store.known);
  }

  /** Nothing would be lost with it. */
  isHeldByOthers(store: StoreFacts): boolean {
    return store.known.without(this.#union(store)).length === 0;
  }

  /** All had deleted it, and no longer does every clock say so. */
  mayLose(id: number): void {
    this.#mayBeLost.add(id);
  }

  wasRemoved(region: string): boolean {
    return this.#removed.has(region);
  }

  /** It went with its store, and no member holds it: nobody can ever have it again. */
  isGone(id: number): boolean {
    if (!this.#mayBeLost.has(id)) return false;
    for (const store of this.#stores) if (store.known.has(id)) return false;
    return true;
  }

  /** Everything that a member's store holds. */
  surviving(): IdSet {
    return this.#union(undefined);
  }

  /** @returns how many acknowledged writes went with their stores */
  expectNoneElse(): number {
    const surviving = this.#union(undefined);
    const lost = this.#writes.facts.filter((fact) => fact.isAcknowledged && !surviving.has(fact.id));
    const unexplained = lost.filter(({ id }) => !this.#mayBeLost.has(id));
    if (unexplained.length > 0) throw new Violation('S9', `acknowledged and lost: ${this.#names(unexplained)}`);
    return lost.length;
  }

  #note(known: IdSet): void {
    for (const id of known.without(this.#union(undefined))) this.#mayBeLost.add(id);
  }

  #union(except: StoreFacts | undefined): IdSet {
    const union = new IdSet();
    for (const store of this.#stores) if (store !== except) union.addAll(store.known);
    return union;
  }

  #names(facts: readonly WriteFact[]): string {
    return this.#writes.describe(facts.map(({ id }) => id));
  }
}
