import { actorId, type Dot, regionOf, VersionVector } from '@meridian/causality';
import type { Lineage } from './protocol.ts';

interface Parts {
  readonly region: string;
  readonly vector: VersionVector;
  readonly lineage: Lineage;
}

/**
 * What this region has seen, and as whom it writes. Immutable.
 *
 * 1. Sound: an event that the vector contains was applied here or is superseded by one that was. So a peer's vector is
 *    joined only after everything it covers has come, and a delta's only without a gap.
 * 2. A dot is never given twice: each life of the process writes as an actor of its own, from 1 on, whatever its log
 *    was: kept, torn, restored from an older state or cloned.
 * 3. Only writes and what others wrote move the vector: a start with nothing to say leaves it as it is.
 */
export class NodeClock {
  readonly #parts: Parts;

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** The clock of a process that starts on a log. */
  static starting(region: string, vector: VersionVector): NodeClock {
    return new NodeClock({ region, vector, lineage: { actor: undefined, counter: 0 } });
  }

  get vector(): VersionVector {
    return this.#parts.vector;
  }

  get lineage(): Lineage {
    return this.#parts.lineage;
  }

  /** The dot of the next own event. */
  nextDot(newEpoch: () => bigint): Dot {
    const { region, lineage } = this.#parts;
    const actor = lineage.actor ?? actorId(region, newEpoch());
    return { actor, counter: lineage.counter + 1 };
  }

  /** The own event is durable. */
  wrote(dot: Dot): NodeClock {
    return new NodeClock({ ...this.#parts, vector: this.vector.with(dot), lineage: dot });
  }

  /** Joins a vector of which everything has been applied. */
  joined(applied: VersionVector): NodeClock {
    if (this.vector.dominates(applied)) return this;
    return new NodeClock({ ...this.#parts, vector: this.vector.merge(applied) });
  }

  /** The clock after a delta of `origin`; `gap` when something that the origin wrote before it is missing here. */
  afterDelta(origin: string, delta: { readonly from: VersionVector; readonly to: VersionVector }): NodeClock | 'gap' {
    for (const [actor, counter] of delta.from.entries())
      if (regionOf(actor) === origin && this.vector.counterOf(actor) < counter) return 'gap';
    // Only the origin's own events are in its delta, whatever else it had seen.
    const own = Array.from(delta.to.entries()).filter(([actor]) => regionOf(actor) === origin);
    return this.joined(VersionVector.of(own));
  }
}
