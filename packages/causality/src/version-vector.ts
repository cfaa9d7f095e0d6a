import { type ActorId, isActorId } from './actor.ts';

/** One event of one actor. Counters start at 1. */
export interface Dot {
  readonly actor: ActorId;
  readonly counter: number;
}

export type Order = 'equal' | 'before' | 'after' | 'concurrent';

/**
 * What an observer has seen: for each actor the number of its events, without gaps. Immutable.
 *
 * 1. Every counter is a safe integer ≥ 1; an actor that was not seen has no entry (counter 0).
 * 2. Entries are kept sorted by actor, so equal vectors have equal text.
 * 3. At most {@link VersionVector.ENTRIES_MAX} entries when parsed from outside.
 *
 * Mattern 1989, Fidge 1988; `merge` is the least upper bound of the partial order that `compare` gives.
 */
export class VersionVector {
  /** At most 64 live entries on the wire. */
  static readonly ENTRIES_MAX = 64;
  static readonly EMPTY = new VersionVector(new Map());
  static #parsed = VersionVector.EMPTY;

  readonly #counters: ReadonlyMap<ActorId, number>;
  /** The wire form, once it was asked for: every message of a process carries the same few vectors. */
  #text: string | undefined;

  private constructor(counters: ReadonlyMap<ActorId, number>) {
    this.#counters = counters;
  }

  /** @throws RangeError on a counter that is not a positive safe integer. */
  static of(entries: Iterable<readonly [ActorId, number]>): VersionVector {
    const counters = new Map<ActorId, number>();
    for (const [actor, counter] of entries) {
      if (!Number.isSafeInteger(counter) || counter < 1) throw new RangeError(`counter of ${actor} is ${counter}`);
      counters.set(actor, Math.max(counter, counters.get(actor) ?? 0));
    }
    return new VersionVector(sorted(counters));
  }

  /**
   * Reads the wire form `region@epoch=n,region@epoch=n` (sorted, no spaces; empty text is the empty vector).
   * @param entriesMax more than {@link ENTRIES_MAX} only where no envelope has to carry it
   * @returns undefined for anything else: text from outside is never trusted half-way.
   */
  static parse(text: string, entriesMax = VersionVector.ENTRIES_MAX): VersionVector | undefined {
    if (text === '') return VersionVector.EMPTY;
    // Messages that follow each other mostly carry the same vector; and merging a vector with itself is free.
    const last = VersionVector.#parsed;
    if (last.#text === text && last.size <= entriesMax) return last;
    const counters = new Map<ActorId, number>();
    let previous = '';
    const parts = text.split(',', entriesMax + 1);
    if (parts.length > entriesMax) return undefined;
    for (const part of parts) {
      const dot = parseDot(part);
      if (dot === undefined || dot.actor <= previous) return undefined;
      counters.set(dot.actor, dot.counter);
      previous = dot.actor;
    }
    const vector = new VersionVector(counters);
    vector.#text = text; // the wire form is unique
    VersionVector.#parsed = vector;
    return vector;
  }

  get size(): number {
    return this.#counters.size;
  }

  counterOf(actor: ActorId): number {
    return this.#counters.get(actor) ?? 0;
  }

  contains(dot: Dot): boolean {
    return this.counterOf(dot.actor) >= dot.counter;
  }

  entries(): IterableIterator<[ActorId, number]> {
    return this.#counters.entries();
  }

  /** Least upper bound: pointwise maximum. */
  merge(other: VersionVector): VersionVector {
    if (other.size === 0 || other === this) return this;
    if (this.size === 0) return other;
    const counters = new Map(this.#counters);
    for (const [actor, counter] of other.#counters) counters.set(actor, Math.max(counter, counters.get(actor) ?? 0));
    return new VersionVector(counters.size === this.size ? counters : sorted(counters));
  }

  /** Greatest lower bound: pointwise minimum. */
  meet(other: VersionVector): VersionVector {
    if (other.dominates(this)) return this;
    const counters = new Map<ActorId, number>();
    for (const [actor, counter] of this.#counters) {
      const common = Math.min(counter, other.counterOf(actor));
      if (common > 0) counters.set(actor, common);
    }
    return new VersionVector(counters);
  }

  /** What this one contains and the other does not. */
  without(other: VersionVector): VersionVector {
    if (this === other || other.dominates(this)) return VersionVector.EMPTY;
    return VersionVector.of([...this.#counters].filter(([actor, counter]) => other.counterOf(actor) < counter));
  }

  /** This vector with one dot added. @throws RangeError when the dot would leave a gap. */
  with(dot: Dot): VersionVector {
    const seen = this.counterOf(dot.actor);
    if (dot.counter <= seen) return this;
    if (dot.counter !== seen + 1) throw new RangeError(`gap: ${dot.actor} at ${seen}, dot ${dot.counter}`);
    const counters = new Map(this.#counters).set(dot.actor, dot.counter);
    return new VersionVector(seen > 0 ? counters : sorted(counters));
  }

  /** True when everything `other` has seen, this has seen too (`other` ≤ this). */
  dominates(other: VersionVector): boolean {
    for (const [actor, counter] of other.#counters) if (this.counterOf(actor) < counter) return false;
    return true;
  }

  compare(other: VersionVector): Order {
    const above = this.dominates(other);
    const below = other.dominates(this);
    if (above) return below ? 'equal' : 'after';
    return below ? 'before' : 'concurrent';
  }

  toString(): string {
    this.#text ??= Array.from(this.#counters, ([actor, counter]) => `${actor}=${counter}`).join(',');
    return this.#text;
  }
}

/** `region@epoch=n`. */
export function formatDot(dot: Dot): string {
  return `${dot.actor}=${dot.counter}`;
}

export function parseDot(text: string): Dot | undefined {
  const at = text.lastIndexOf('=');
  const actor = text.slice(0, at);
  const digits = text.slice(at + 1);
  if (at < 0 || !isActorId(actor) || !/^[1-9][0-9]{0,15}$/.test(digits)) return undefined;
  const counter = Number(digits);
  return Number.isSafeInteger(counter) ? { actor, counter } : undefined;
}

function sorted(counters: Map<ActorId, number>): Map<ActorId, number> {
  return new Map(Array.from(counters).sort(([a], [b]) => (a < b ? -1 : 1)));
}
