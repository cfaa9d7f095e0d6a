import { VersionVector } from '@meridian/causality';
import { Failure } from '@meridian/failure';
import type { Collector } from './collector.ts';
import { type LocalWrites, OWN } from './local-writes.ts';
import type { Change } from './protocol.ts';
import type { RegionState } from './region-state.ts';
import { allHolesOf, dueChanges } from './upkeep.ts';

/** Deltas and answers that were on their way when a log was lost have come by then. */
const HOLE_AGE_MS = 25_000;

/** What an idle region does by itself: seals and lists of ended lives first, then the collection of deletions. */
export class Chores {
  readonly #state: RegionState;
  readonly #writes: LocalWrites;
  readonly #collector: Collector;
  #holesSinceMs: number | undefined;
  #holes = VersionVector.EMPTY;

  constructor(state: RegionState, writes: LocalWrites, collector: Collector) {
    this.#state = state;
    this.#writes = writes;
    this.#collector = collector;
  }

  /** Only while nothing is under way. */
  doDue(): void {
    const { queue } = this.#state;
    this.#watchHoles();
    for (const change of this.#dueChanges()) queue.push({ kind: 'write', id: OWN, change });
    if (queue.size > 0) this.#writes.decide();
    else this.#collector.collectDue();
  }

  /** A hole is closed only when every peer has answered a whole round that began well after it was seen. */
  #watchHoles(): void {
    const { now, sources, membership, peers, vector: own } = this.#state;
    const holes = allHolesOf(sources);
    // Holes that grow are of a life that was heard again: what is missing may come from there.
    if (holes.size === 0) this.#holesSinceMs = undefined;
    else if (!this.#holes.dominates(holes)) this.#holesSinceMs = now.monotonicMs;
    this.#holes = holes;
    const since = this.#holesSinceMs;
    const seen = membership.peers.map((peer) => peers.seenBy(peer));
    // What a peer's clock covers is no hole: it will come.
    const isNowhere = seen.every((vector) => vector !== undefined && own.dominates(vector));
    this.#state.mayCloseHoles = isNowhere && since !== undefined && peers.haveAnsweredSince(since + HOLE_AGE_MS);
  }

  #dueChanges(): readonly Change[] {
    if (this.#state.peers.isFetching) return [];
    try {
      return dueChanges(this.#state.sources);
    } catch (error) {
      this.#writes.refused(OWN, Failure.from(error));
      return [];
    }
  }
}
