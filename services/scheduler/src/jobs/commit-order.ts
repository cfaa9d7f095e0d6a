export interface Committed {
  /** Position in the stream: the cursor. */
  readonly sequence: number;
  readonly index: number;
}

interface Waiting extends Committed {
  /** Writes that began before this one was known to be stored may have a lower sequence; later ones cannot. */
  readonly barrier: number;
}

/**
 * Puts the results of a job in the order of their stream sequences, although acknowledgements come in any order.
 *
 * 1. `end` releases in rising order of sequence, each once.
 * 2. A result is released only when no write that is still under way can have a lower sequence: whoever has seen a
 *    cursor has seen everything below it.
 */
export class CommitOrder {
  readonly #underWay = new Set<number>();
  readonly #waiting: Waiting[] = [];
  #begun = 0;

  /** A write begins. @returns its number, for `end` or `abandon`. */
  begin(): number {
    this.#underWay.add(this.#begun);
    return this.#begun++;
  }

  /** The write is stored. @returns what may be shown now. */
  end(write: number, committed: Committed): readonly Committed[] {
    this.#underWay.delete(write);
    const above = this.#waiting.findIndex((waiting) => waiting.sequence > committed.sequence);
    const at = above < 0 ? this.#waiting.length : above;
    // What began after a higher sequence was known cannot get a lower one than this either.
    const barrier = this.#waiting[at]?.barrier ?? this.#begun;
    this.#waiting.splice(at, 0, { ...committed, barrier });
    return this.#release();
  }

  /** The write stored nothing that has to be shown. */
  abandon(write: number): readonly Committed[] {
    this.#underWay.delete(write);
    return this.#release();
  }

  get idle(): boolean {
    return this.#underWay.size === 0 && this.#waiting.length === 0;
  }

  #release(): readonly Committed[] {
    // A set keeps the order of insertion: the first is the oldest.
    const oldest = this.#underWay.values().next().value ?? this.#begun;
    let count = 0;
    while (count < this.#waiting.length && (this.#waiting[count]?.barrier ?? 0) <= oldest) count++;
    return this.#waiting.splice(0, count);
  }
}
