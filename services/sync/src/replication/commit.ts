import type { Dot, VersionVector } from '@meridian/causality';
import { assert } from '@meridian/failure';
import type { Entry } from '@meridian/replica';
import type { Append, StoredRecord } from './protocol.ts';

export interface WritesOrigin {
  readonly kind: 'writes';
  readonly written: readonly {
    readonly id: number;
    readonly dot: Dot;
    readonly entry: Entry;
    readonly seen: VersionVector;
  }[];
}

export interface MergeOrigin {
  readonly kind: 'merge';
  readonly peer: string;
  /** What the clock becomes. */
  readonly applied: VersionVector;
  /** Of a page of a round; undefined for a delta, and for single keys. */
  readonly nextKey: string | undefined;
  readonly isRepair: boolean;
  /** The peer has not got its own log back yet. */
  readonly isFromRecovering?: boolean;
  /** Deletions of which nothing is left at the peer, nor here once its range has been taken over. */
  readonly collected?: VersionVector;
  /** Deletions that the peer may have dropped: it says of no entry that a version was written after one of these. */
  readonly forgotten: VersionVector;
}

/** Deletions that every member has seen leave the state; and the clock that a round brought without entries. */
export interface CollectOrigin {
  readonly kind: 'collect';
  /** Of which nothing is left. */
  readonly keys: readonly string[];
  /** All entries without their deletions, while they have yet to be written. */
  readonly left: readonly Entry[];
}

/**
 * A group of records on their way into the log: nothing of it is visible, acknowledged or sent before all are durable.
 *
 * 1. Own events may be stored in any order: those of a group of which one is missing after a crash do not count.
 * 2. Of a merge the last record alone carries the new clock, and it is sent only when the others are stored: so a log
 *    never claims a clock of which entries are missing.
 */
export class Commit {
  readonly origin: WritesOrigin | MergeOrigin | CollectOrigin;
  readonly #appends: readonly Append[];
  readonly #ids: ReadonlySet<number>;
  readonly #sequences = new Map<number, number>();
  #sent = 0;

  constructor(origin: WritesOrigin | MergeOrigin | CollectOrigin, appends: readonly Append[]) {
    assert(appends.length > 0, 'a commit has records');
    this.origin = origin;
    this.#appends = appends;
    this.#ids = new Set(appends.map(({ id }) => id));
  }

  /** What can be sent now, once each. */
  sendable(): readonly Append[] {
    const isHeldBack = this.origin.kind === 'merge' && this.#sequences.size < this.#appends.length - 1;
    const until = this.#appends.length - (isHeldBack ? 1 : 0);
    const from = Math.min(this.#sent, until);
    this.#sent = until;
    return this.#appends.slice(from, until);
  }

  appended(id: number, sequence: number): void {
    assert(this.#ids.has(id), 'what was stored was sent');
    this.#sequences.set(id, sequence);
  }

  get isDurable(): boolean {
    return this.#sequences.size === this.#appends.length;
  }

  /** Records with the sequences that the log gave them. */
  *stored(): Iterable<StoredRecord> {
    for (const { id, record } of this.#appends) yield { record, sequence: this.#sequences.get(id) ?? 0 };
  }
}
