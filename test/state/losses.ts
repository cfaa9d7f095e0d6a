/**
 * Judges what is left of acknowledged writes. Shares no code with the services: it knows what each writer was shown before it
 * wrote, what it was told, and what the regions show in the end. A write is named by its value, which no other has.
 */
export type Outcome =
  | 'acknowledged'
  /** Surely not written. */
  | 'refused'
  /** Nobody knows: it may appear, at any time, or never. */
  | 'uncertain';

export interface Write {
  readonly id: string;
  readonly region: string;
  readonly key: string;
  /** It leaves no value; its id is never shown. */
  readonly isDelete: boolean;
  /** Ids that its author was shown of the key, in the context of the write: all that it supersedes. */
  readonly saw: readonly string[];
  readonly outcome: Outcome;
}

/** By key, the ids that a region shows. */
export type Shown = ReadonlyMap<string, ReadonlySet<string>>;

export interface Fault {
  readonly kind: 'lost' | 'resurrected' | 'refused-but-written' | 'unknown';
  readonly region: string;
  readonly key: string;
  readonly id: string;
}

export interface Verdict {
  readonly faults: readonly Fault[];
  /** Acknowledged, excused, and gone: what the loss of the store has cost. */
  readonly excused: readonly string[];
}

/**
 * 1. An acknowledged write is shown by every region, or a write whose author had seen it stands in its place.
 * 2. What an acknowledged write has superseded is shown nowhere.
 * 3. What was refused, and what nobody wrote, is shown nowhere.
 * An uncertain write, and an excused one (only a store that was lost had it), explains what it supersedes and has to
 * answer for nothing itself.
 */
export function judge(
  writes: readonly Write[],
  shown: ReadonlyMap<string, Shown>,
  excused: ReadonlySet<string> = new Set(),
): Verdict {
  const history = new History(writes, shown, excused);
  const faults: Fault[] = [];
  const gone = new Set<string>();
  for (const [region, keys] of shown) {
    for (const [key, ids] of keys)
      for (const id of ids) {
        const kind = history.faultOfShown(key, id);
        if (kind !== undefined) faults.push({ kind, region, key, id });
      }
    for (const { id, key, isDelete, outcome } of writes) {
      if (isDelete || outcome !== 'acknowledged' || keys.get(key)?.has(id) || history.isSuperseded(id)) continue;
      if (excused.has(id)) gone.add(id);
      else faults.push({ kind: 'lost', region, key, id });
    }
  }
  return { faults, excused: [...gone] };
}

class History {
  readonly #byId: ReadonlyMap<string, Write>;
  /** By id, the writes whose authors had seen it. */
  readonly #later = new Map<string, Write[]>();
  readonly #shownIds = new Set<string>();
  readonly #excused: ReadonlySet<string>;

  constructor(writes: readonly Write[], shown: ReadonlyMap<string, Shown>, excused: ReadonlySet<string>) {
    this.#byId = new Map(writes.map((write) => [write.id, write]));
    this.#excused = excused;
    for (const keys of shown.values()) for (const ids of keys.values()) for (const id of ids) this.#shownIds.add(id);
    for (const write of writes) {
      if (write.outcome === 'refused') continue;
      for (const id of write.saw) {
        const later = this.#later.get(id) ?? [];
        this.#later.set(id, later);
        later.push(write);
      }
    }
  }

  /** Whether a write that may have lasted stands in its place. */
  isSuperseded(id: string): boolean {
    return (this.#later.get(id) ?? []).some((write) => this.#lasts(write));
  }

  faultOfShown(key: string, id: string): Fault['kind'] | undefined {
    const write = this.#byId.get(id);
    if (write === undefined || write.isDelete || write.key !== key) return 'unknown';
    if (write.outcome === 'refused') return 'refused-but-written';
    return (this.#later.get(id) ?? []).some((later) => this.#isCertain(later)) ? 'resurrected' : undefined;
  }

  #isCertain({ id, outcome }: Write): boolean {
    return outcome === 'acknowledged' && !this.#excused.has(id);
  }

  /** A deletion that may have been written explains; a value must be shown somewhere, or be superseded itself. */
  #lasts(write: Write): boolean {
    return this.#isCertain(write) || write.isDelete || this.#shownIds.has(write.id) || this.isSuperseded(write.id);
  }
}
