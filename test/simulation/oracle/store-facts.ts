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

  /** What was written in an earlier life counts like everything else. */
  lifeBegins(): void {
    this.last = this.#lastOfLife;
  }

  copy(): StoreFacts {
    return new StoreFacts(this.region, this.known.copy(), this.#lastOfLife);
  }
}

export function isAfter(a: Timestamp, b: Timestamp): boolean {
  return a.wallMs > b.wallMs || (a.wallMs === b.wallMs && a.logical > b.logical);
}
