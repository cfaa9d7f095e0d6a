import { type ActorId, actorId, type Dot, regionOf, VersionVector } from '@meridian/causality';
import { Failure } from '@meridian/failure';

/** As whom a region writes: its actor, and the counter of that actor's last durable event. */
export interface Lineage {
  /** Undefined before the first own event. */
  readonly actor: ActorId | undefined;
  readonly counter: number;
}

/**
 * Whether the lineage may go on. `unproven`: this process has written nothing yet, and peers may know more of the actor
 * than our log does. `forked`: somebody does know more, so the log was lost in part, or cloned.
 */
type Continuity = 'unproven' | 'open' | 'forked';

interface Parts {
  readonly region: string;
  readonly vector: VersionVector;
  readonly lineage: Lineage;
  readonly unanswered: ReadonlySet<string>;
  readonly continuity: Continuity;
}

/**
 * What this region has seen, and as whom it writes. Immutable.
 *
 * 1. Sound: an event that the vector contains was applied here or is superseded by one that was. So a peer's vector is
 *    joined only after everything it covers has come, and a delta's only without a gap.
 * 2. A dot is never given twice. After a start the actor counts on only when every member has answered and none knew
 *    more of it; otherwise the first write opens a new epoch. So does the next write after a fork was seen.
 * 3. Only writes and what others wrote move the vector: a start with nothing to say leaves it as it is.
 */
export class NodeClock {
  readonly #parts: Parts;

  private constructor(parts: Parts) {
    const { actor, counter } = parts.lineage;
    const isForked = actor !== undefined && parts.vector.counterOf(actor) > counter;
    this.#parts = isForked ? { ...parts, continuity: 'forked' } : parts;
  }

  /** The clock of a process that starts on a log. `members`: all other regions. */
  static starting(region: string, members: Iterable<string>, vector: VersionVector, lineage: Lineage): NodeClock {
    return new NodeClock({ region, vector, lineage, unanswered: new Set(members), continuity: 'unproven' });
  }

  get vector(): VersionVector {
    return this.#parts.vector;
  }

  get lineage(): Lineage {
    return this.#parts.lineage;
  }

  /** Members that have not answered completely since the start. */
  get unanswered(): ReadonlySet<string> {
    return this.#parts.unanswered;
  }

  /** True when the next write starts a new actor. */
  get opensEpoch(): boolean {
    const { lineage, continuity, unanswered } = this.#parts;
    if (lineage.actor === undefined || continuity === 'forked') return true;
    return continuity === 'unproven' && unanswered.size > 0;
  }

  get isForked(): boolean {
    return this.#parts.continuity === 'forked';
  }

  /**
   * The dot of the next own event.
   * @throws Failure FAILED_PRECONDITION / VECTOR_FULL when a new epoch would need a place that the vector does not have.
   */
  nextDot(newEpoch: () => bigint): Dot {
    const { region, vector, lineage } = this.#parts;
    if (!this.opensEpoch && lineage.actor !== undefined) return { actor: lineage.actor, counter: lineage.counter + 1 };
    if (vector.size >= VersionVector.ENTRIES_MAX)
      throw new Failure(
        'FAILED_PRECONDITION',
        `the version vector has its ${VersionVector.ENTRIES_MAX} entries: connect the regions, so that old epochs can end`,
        { reason: 'VECTOR_FULL' },
      );
    return { actor: actorId(region, newEpoch()), counter: 1 };
  }

  /** The own event is durable. */
  wrote(dot: Dot): NodeClock {
    const { vector, lineage, continuity } = this.#parts;
    // A fork that was seen while the event was under way concerns the actor, not the event.
    const staysForked = continuity === 'forked' && dot.actor === lineage.actor;
    return new NodeClock({
      ...this.#parts,
      vector: vector.with(dot),
      lineage: dot,
      continuity: staysForked ? 'forked' : 'open',
    });
  }

  /** A member answered completely, with this vector. */
  answered(member: string, itsVector: VersionVector): NodeClock {
    const unanswered = new Set(this.#parts.unanswered);
    unanswered.delete(member);
    return new NodeClock({ ...this.#parts, unanswered }).observed(itsVector);
  }

  /** Looks at what somebody else has seen: who knows more of our actor than we do proves a fork. */
  observed(itsVector: VersionVector): NodeClock {
    const { lineage, continuity } = this.#parts;
    if (lineage.actor === undefined || continuity === 'forked') return this;
    if (itsVector.counterOf(lineage.actor) <= lineage.counter) return this;
    return new NodeClock({ ...this.#parts, continuity: 'forked' });
  }

  /**
   * Joins a vector of which everything has been applied.
   * @throws Failure RESOURCE_EXHAUSTED / VECTOR_FULL for a result that could not travel. Not retryable.
   */
  joined(applied: VersionVector): NodeClock {
    if (this.vector.dominates(applied)) return this;
    const vector = this.vector.merge(applied);
    if (vector.size > VersionVector.ENTRIES_MAX)
      throw new Failure('RESOURCE_EXHAUSTED', `a vector of ${vector.size} entries cannot travel`, {
        reason: 'VECTOR_FULL',
        retryable: false,
      });
    return new NodeClock({ ...this.#parts, vector }).observed(applied);
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
