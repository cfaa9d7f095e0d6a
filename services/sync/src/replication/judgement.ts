import { regionOf, VersionVector } from '@meridian/causality';
import type { RegionState } from './region-state.ts';

/** What peers may say, and what their vectors tell about this region; whatever is wrong raises an alarm. */
export class Judgement {
  readonly #state: RegionState;
  #hasAlarmedBack = false;

  constructor(state: RegionState) {
    this.#state = state;
  }

  hears(region: string, generation: number): boolean {
    if (this.#state.membership.hears(region, generation)) return true;
    this.#state.alarm('NOT_A_MEMBER', region, `speaks under generation ${generation}`);
    return false;
  }

  /** A vector that could not travel, or names strangers, is not taken over; entries are merged all the same. */
  isJoinable(peer: string, vector: VersionVector): boolean {
    const { ended, membership } = this.#state;
    const size = ended.outward(vector).size;
    if (size > VersionVector.ENTRIES_MAX)
      this.#state.alarm('VECTOR_FULL', peer, `a vector of ${size} entries cannot travel`);
    else if (!membership.admitsAll(vector))
      this.#state.alarm('NOT_A_MEMBER', peer, 'a vector with events of strangers');
    else return true;
    return false;
  }

  /** Somebody has seen more of our earlier lives than our log has: it was restored from an older state. */
  observe(vector: VersionVector, peer: string): void {
    if (this.#hasAlarmedBack) return;
    for (const [actor, counter] of vector.entries()) {
      const own = this.#state.vector.counterOf(actor);
      if (regionOf(actor) !== this.#state.region || own === 0 || own >= counter) continue;
      // What this region wrote before it was added again is not of its log.
      if (this.#state.membership.wasSealed(actor)) continue;
      this.#hasAlarmedBack = true;
      this.#state.alarm('WENT_BACK', peer, `the log has ${own} events of ${actor}, the peer ${counter}`);
    }
  }
}
