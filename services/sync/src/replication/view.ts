import { type Dot, VersionVector } from '@meridian/causality';
import { assert } from '@meridian/failure';
import { type Entry, isConflicted } from '@meridian/replica';
import { entryBytes } from './dotted-causal-container.ts';
import { StateDigest } from './state-digest.ts';

interface Slot {
  readonly versions: Entry['versions'];
  /** What the key has seen beyond the clock. */
  readonly beyond: VersionVector;
  readonly sequence: number;
}

/** What becomes of events that the clock does not contain. */
export interface EventsToCome {
  /** It can never become part of the state, whoever has it. */
  isVoid(dot: Dot): boolean;
  /** Its author counts its life as ended before it: it went with a store, unless somebody turns up who has it. */
  isOver(dot: Dot): boolean;
}

/**
 * The durable state: what readers see, by key.
 *
 * 1. Holds only what the log has, with the sequence of the log's message.
 * 2. The context of every key is the clock, joined with what this key alone has seen beyond it (DottedDB's strip and
 *    fill): a key that is absent has the clock as its context.
 * 3. Keys are kept in order, so that a fetch can go on after the last key it got.
 */
export class View {
  readonly #slots = new Map<string, Slot>();
  readonly #keys: string[] = [];
  readonly #digest = new StateDigest();
  /** Keys with something beyond the clock, as far as it was looked at. */
  readonly #beyond = new Set<string>();
  /** Keys with a deletion, or of which nothing is left. */
  readonly #deletions = new Set<string>();
  readonly #conflicts = new Set<string>();
  readonly #events: EventsToCome;
  #clock = VersionVector.EMPTY;

  constructor(events: EventsToCome = { isVoid: () => false, isOver: () => false }) {
    this.#events = events;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** Joined by whatever has been applied completely. */
  set clock(clock: VersionVector) {
    if (clock === this.#clock) return;
    this.#clock = clock;
    for (const key of this.#beyond) {
      const slot = this.#slots.get(key) as Slot;
      if (!clock.dominates(slot.beyond)) continue;
      this.#slots.set(key, { ...slot, beyond: VersionVector.EMPTY });
      this.#beyond.delete(key);
    }
  }

  get(key: string): Entry | undefined {
    const slot = this.#slots.get(key);
    return slot && this.#filled(key, slot);
  }

  /** The entry, or an absent one that has seen what the region has. */
  at(key: string): Entry {
    return this.get(key) ?? { key, versions: [], context: this.#clock };
  }

  /** Of the key's last message in the log; 0 for none. */
  sequenceOf(key: string): number {
    return this.#slots.get(key)?.sequence ?? 0;
  }

  /** By key. */
  *entries(prefix = ''): Iterable<Entry> {
    for (let i = this.#position(prefix); i < this.#keys.length; i++) {
      const key = this.#keys[i] as string;
      if (!key.startsWith(prefix)) return;
      yield this.#filled(key, this.#slots.get(key) as Slot);
    }
  }

  /** Keys with a deletion, or of which nothing is left, that have seen nothing beyond the clock that may yet come. */
  *collectable(): Iterable<Entry> {
    const mayCome = (dot: Dot) => !this.#events.isVoid(dot) && !this.#events.isOver(dot);
    for (const key of this.#deletions)
      if (!this.#isBeyond(key, mayCome)) yield this.#filled(key, this.#slots.get(key) as Slot);
  }

  /** Entries that have seen something beyond the clock. */
  *ahead(): Iterable<Entry> {
    for (const key of this.#beyond) yield this.#filled(key, this.#slots.get(key) as Slot);
  }

  get conflicts(): number {
    return this.#conflicts.size;
  }

  /**
   * '' while a key has seen something beyond the clock: then the state is not what the clock says. It may have a version
   * more, or one less.
   */
  get digest(): string {
    for (const key of this.#beyond) if (this.#isBeyond(key, (dot) => !this.#events.isVoid(dot))) return '';
    return this.#digest.toString();
  }

  /** Whatever the clock says. */
  get digestOfAll(): string {
    return this.#digest.toString();
  }

  /** @param entry its context holds at least what the key has seen beyond the clock */
  put(entry: Entry, sequence: number): void {
    const { key, versions } = entry;
    const before = this.#slots.get(key);
    assert(before === undefined || sequence > before.sequence, 'the log goes on');
    if (before === undefined) this.#keys.splice(this.#position(key), 0, key);
    else this.#digest.toggle(this.#filled(key, before));
    this.#digest.toggle(entry);
    const beyond = entry.context.without(this.#clock);
    this.#slots.set(key, { versions, beyond, sequence });
    mark(this.#beyond, key, beyond.size > 0);
    mark(this.#deletions, key, versions.length === 0 || versions.some(({ deleted }) => deleted));
    mark(this.#conflicts, key, isConflicted(entry));
  }

  delete(key: string): void {
    const slot = this.#slots.get(key);
    if (slot === undefined) return;
    this.#digest.toggle(this.#filled(key, slot));
    this.#slots.delete(key);
    this.#keys.splice(this.#position(key), 1);
    for (const marks of [this.#beyond, this.#deletions, this.#conflicts]) marks.delete(key);
  }

  /** The entry as the log keeps it: its context holds only what the record's clock does not. */
  stripped(entry: Entry, clock: VersionVector): Entry {
    return { ...entry, context: entry.context.without(clock) };
  }

  /** Keys from the one after `afterKey` up to `untilKey`; '' for to the end. */
  *keysBetween(afterKey: string, untilKey: string): Iterable<string> {
    for (let i = this.#position(afterKey); i < this.#keys.length; i++) {
      const key = this.#keys[i] as string;
      if (untilKey !== '' && key > untilKey) return;
      if (key !== afterKey) yield key;
    }
  }

  /** Entries with an event that `seen` does not contain, from the key after `afterKey` on: at least one, about `bytesMax`. */
  missingFrom(
    seen: VersionVector | undefined,
    afterKey: string,
    bytesMax: number,
  ): { readonly entries: readonly Entry[]; readonly nextKey: string } {
    const entries: Entry[] = [];
    let bytes = 0;
    for (const key of this.keysBetween(afterKey, '')) {
      const slot = this.#slots.get(key) as Slot;
      if (seen !== undefined && slot.versions.every(({ dot }) => seen.contains(dot))) continue;
      const entry = this.#filled(key, slot);
      bytes += entryBytes(entry);
      const last = entries.at(-1);
      if (last !== undefined && bytes > bytesMax) return { entries, nextKey: last.key };
      entries.push(entry);
    }
    return { entries, nextKey: '' };
  }

  /** Whether a version is not in the clock, or something that the key has seen is not and may yet come. */
  #isBeyond(key: string, mayCome: (dot: Dot) => boolean): boolean {
    if (!this.#beyond.has(key)) return false;
    const { versions, beyond } = this.#slots.get(key) as Slot;
    if (versions.some(({ dot }) => !this.#clock.contains(dot))) return true;
    for (const [actor, counter] of beyond.entries())
      if (!this.#clock.contains({ actor, counter }) && mayCome({ actor, counter })) return true;
    return false;
  }

  #filled(key: string, { versions, beyond }: Slot): Entry {
    const context = beyond.size === 0 ? this.#clock : this.#clock.merge(beyond);
    return { key, versions, context };
  }

  /** Index of the first key that is not before `key`. */
  #position(key: string): number {
    let [low, high] = [0, this.#keys.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#keys[middle] as string) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function mark(marks: Set<string>, key: string, isMarked: boolean): void {
  if (isMarked) marks.add(key);
  else marks.delete(key);
}
