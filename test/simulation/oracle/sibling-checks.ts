import type { Entry, Version } from '@meridian/replica';
import { Violation } from '../violation.ts';
import type { Stability } from './stability.ts';
import type { StoreFacts } from './store-facts.ts';
import type { WriteFacts } from './write-facts.ts';

/** S8, S9, S10, S22: exactly those versions are left that no other known write had read. */
export class SiblingChecks {
  readonly #writes: WriteFacts;
  readonly #stability: Stability;

  constructor(writes: WriteFacts, stability: Stability) {
    this.#writes = writes;
    this.#stability = stability;
  }

  /** `entry` undefined: the key is not there. */
  expectExact(entry: Entry | undefined, key: string, store: StoreFacts, where: string): void {
    const actual = (entry?.versions ?? []).map((version) => this.#writes.recognise(version, where).id);
    const expected = this.#writes.siblings(store.known, key);
    for (const id of actual)
      if (!expected.includes(id)) {
        const happened = store.known.has(id)
          ? 'is back, or still there, though superseded'
          : 'is there, but not stored';
        throw new Violation('S8', `${where}: ${this.#writes.describe([id])} ${happened}`);
      }
    if (actual.length !== expected.length)
      for (const id of expected) if (!actual.includes(id)) this.#expectForgotten(id, store, where);
    this.#expectOrdered(entry?.versions ?? [], key, where);
  }

  #expectForgotten(id: number, store: StoreFacts, where: string): void {
    const fact = this.#writes.at(id);
    for (const deletion of this.#stability.thatCover(fact)) {
      this.#stability.learn(store, deletion);
      return;
    }
    const message = `${where}: ${this.#writes.describe([id])} is gone, and nothing that is there had read it`;
    throw new Violation(fact.value === undefined ? 'S21' : 'S9', message);
  }

  /** S16: one canonical order. */
  #expectOrdered(versions: readonly Version[], key: string, where: string): void {
    for (let i = 1; i < versions.length; i++) {
      const a = versions[i - 1]?.dot;
      const b = versions[i]?.dot;
      if (a === undefined || b === undefined) continue;
      if (a.actor > b.actor || (a.actor === b.actor && a.counter >= b.counter))
        throw new Violation('S16', `${where}: the versions of ${key} are not sorted by dot`);
    }
  }
}
