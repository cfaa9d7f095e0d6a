import type { VersionVector } from '@meridian/causality';
import { Violation } from '../violation.ts';
import { covers } from './dot-text.ts';
import { IdSet } from './id-set.ts';
import type { Lives } from './lives.ts';
import type { Losses } from './losses.ts';
import type { Stability } from './stability.ts';
import type { StoreFacts } from './store-facts.ts';
import type { WriteFact, WriteFacts } from './write-facts.ts';

/** What one life of a process has said that it had seen. */
export class ClockFacts {
  readonly counters = new Map<string, number>();
  /** Writes that its clock covers. */
  readonly covered = new IdSet();
  readonly checked = new WeakSet<VersionVector>();
  last: VersionVector | undefined;
}

/** S3, S5: a clock that leaves a process, or that it works with, covers only what its disk has taken. */
export class ClockChecks {
  readonly #writes: WriteFacts;
  readonly #stability: Stability;
  readonly #lives: Lives;
  readonly #losses: Pick<Losses, 'isGone' | 'wasRemoved'>;

  constructor(writes: WriteFacts, stability: Stability, lives: Lives, losses: Pick<Losses, 'isGone' | 'wasRemoved'>) {
    this.#losses = losses;
    this.#lives = lives;
    this.#writes = writes;
    this.#stability = stability;
  }

  /** The process's own clock, after each step. */
  expectSound(vector: VersionVector, clock: ClockFacts, store: StoreFacts, where: string): void {
    if (clock.last === vector) return;
    const before = clock.counters.size;
    let kept = 0;
    for (const [actor, counter] of vector.entries()) {
      const seen = clock.counters.get(actor) ?? 0;
      if (seen > 0) kept++;
      if (counter < seen)
        throw new Violation('S5', `${where}: the clock of ${actor} went back from ${seen} to ${counter}`);
      if (counter === seen) continue;
      for (let n = seen + 1; n <= counter; n++) {
        const id = this.#expectStored(actor, n, vector, store, where);
        if (id !== undefined) clock.covered.add(id);
      }
      clock.counters.set(actor, counter);
    }
    if (kept < before) throw new Violation('S5', `${where}: the clock has lost an actor`);
    clock.last = vector;
    clock.checked.add(vector);
  }

  /** A clock in a message or answer. */
  expectStored(vector: VersionVector, clock: ClockFacts, store: StoreFacts, where: string): void {
    if (clock.checked.has(vector)) return;
    for (const [actor, counter] of vector.entries())
      for (let n = (clock.counters.get(actor) ?? 0) + 1; n <= counter; n++)
        this.#expectStored(actor, n, vector, store, where);
    clock.checked.add(vector);
  }

  /** All that the store must know of the key for a reader of this clock. */
  coveredOf(key: string, clock: ClockFacts): IdSet {
    const ids = new IdSet();
    for (const fact of this.#writes.ofKey(key)) if (clock.covered.has(fact.id)) ids.addAll(this.#writes.past(fact));
    return ids;
  }

  #expectStored(
    actor: string,
    counter: number,
    vector: VersionVector,
    store: StoreFacts,
    where: string,
  ): number | undefined {
    const fact = this.#writes.ofDot(`${actor}=${counter}`);
    // Of a batch that a crash cut short, a later event may have been stored and an earlier one not: that one never was.
    if (!fact?.isDurable && this.#lives.isOver(actor)) return undefined;
    if (!fact?.isDurable)
      throw new Violation('S3', `${where}: the clock covers ${actor}=${counter}, which no disk has taken`);
    // Of an ended life or a region that was taken out, what went with its store may be passed over.
    const isOver = this.#lives.isOver(actor) || this.#losses.wasRemoved(fact.region);
    if (!store.known.has(fact.id) && isOver && this.#losses.isGone(fact.id)) return undefined;
    if (!store.known.has(fact.id)) this.#expectCollected(fact, vector, store, where);
    return fact.id;
  }

  /** What all had deleted need not be there. */
  #expectCollected(fact: WriteFact, vector: VersionVector, store: StoreFacts, where: string): void {
    for (const deletion of this.#stability.thatCover(fact)) {
      if (!covers(vector, deletion.dot)) continue;
      this.#stability.learn(store, deletion);
      return;
    }
    const message = `${where}: the clock covers ${this.#writes.describe([fact.id])}, which was not applied here`;
    throw new Violation('S5', message);
  }
}
