import { TIMESTAMP_ZERO, type Timestamp } from '@meridian/causality';
import { IdSet } from './id-set.ts';

/** What a disk holds or has held, in the oracle's own terms: it goes where the disk goes, and back where it goes back. */
export class StoreFacts {
  readonly region: string;
  /** Writes whose effect is in it: there, or superseded by what is. */
  readonly known: IdSet;
  /** The highest timestamp in it, but for the events of the life that is running. */
  last: Timestamp;
  /** And of those. */
  #lastOfLife: Timestamp;
  /** Own writes that the process has asked for together, and what the store learnt with each that it has taken. */
  readonly #together = new Map<number, readonly number[] | undefined>();
  /** What did not count when a life began, and is in the store until the process writes over it. */
  #undone: readonly number[] = [];

  constructor(region: string, known = new IdSet(), last = TIMESTAMP_ZERO) {
    this.region = region;
    this.known = known;
    this.last = last;
    this.#lastOfLife = last;
  }

  took(hlc: Timestamp, isOfThisLife: boolean): void {
    if (isAfter(hlc, this.#lastOfLife)) this.#lastOfLife = hlc;
    if (!isOfThisLife && isAfter(hlc, this.last)) this.last = hlc;
  }

  /** The process asks for an own write. It asks for the next ones only when it has all of those before. */
  asks(id: number): void {
    if (![...this.#together.values()].includes(undefined)) this.#together.clear();
    this.#together.set(id, undefined);
  }

  /**
   * A record is in the store, and with it all of `ids`.
   * @param own the write that it comes from, if it is one of this life
   * @param isOver whether it takes the place of the write's record
   */
  learns(own: number | undefined, ids: readonly number[], isOver: (id: number) => boolean): void {
    this.#undone = this.#undone.filter((id) => !isOver(id));
    if (own !== undefined && this.#together.has(own)) this.#together.set(own, ids);
    for (const learnt of ids) this.known.add(learnt);
  }

  /**
   * S6: what was asked for together is there as a whole, or not at all, when a life begins on what is left. What was
   * written in an earlier life counts like everything else.
   * @param isWhole false: something cannot be read, and nobody knows what was whole
   */
  lifeBegins(isWhole: boolean): void {
    this.last = this.#lastOfLife;
    const asked = [...this.#together.values()];
    if (!isWhole) {
      for (const id of this.#undone) this.known.add(id);
      this.#undone = [];
    } else if (asked.includes(undefined)) {
      this.#undone = [...this.#undone, ...asked.flatMap((ids) => ids ?? [])];
      for (const id of this.#undone) this.known.delete(id);
    }
    this.#together.clear();
  }

  /** Of a copy that lacks these. */
  lacking(ids: readonly number[]): StoreFacts {
    const copy = new StoreFacts(this.region, this.known.copy());
    for (const id of ids) copy.known.delete(id);
    copy.#undone = this.#undone.filter((id) => !ids.includes(id));
    return copy;
  }

  copy(): StoreFacts {
    const copy = new StoreFacts(this.region, this.known.copy(), this.#lastOfLife);
    for (const [id, learnt] of this.#together) copy.#together.set(id, learnt);
    copy.#undone = this.#undone;
    return copy;
  }
}

export function isAfter(a: Timestamp, b: Timestamp): boolean {
  return a.wallMs > b.wallMs || (a.wallMs === b.wallMs && a.logical > b.logical);
}
