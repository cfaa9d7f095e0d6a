import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type ActorId, actorId, type Dot, formatDot, regionOf, VersionVector } from '@meridian/causality';
import { type EndedEpochsRecord, EndedEpochsRecordSchema } from '@meridian/contracts/state';
import type { Entry } from './entry.ts';
import { parseStateKey } from './state-key.ts';

/** Ended lives of one region that its record may list: the list goes through one value of the state. */
export const ENDED_EPOCHS_MAX = 4_096;

/** That a life ended after so many events, as one list says. */
export interface EndedLife {
  readonly actor: ActorId;
  readonly counter: number;
  /** The event that listed it first; undefined: the one that writes the list. */
  readonly by: Dot | undefined;
}

interface Seal {
  readonly dot: Dot;
  readonly ended: readonly (readonly [ActorId, number])[];
}

/**
 * The lives of state logs that have ended. What travels as a version vector leaves them out.
 *
 * 1. Who has seen the event that listed a life has seen everything that the life wrote: the writer of the list had, and
 *    events are taken in without gaps. So a vector that contains the event means that it contains the life. A newer list
 *    names the events of the older ones: others may not have it yet. Two processes of a region may have listed one life
 *    with different ends: a list keeps what each of them said.
 * 2. `inward(outward(v))` is `v` for every vector of a region that knows the same lists.
 */
export class EndedEpochs {
  readonly #seals = new Map<string, readonly Seal[]>();
  #memo: { readonly from: VersionVector; readonly to: VersionVector } | undefined;
  #memoOutward: { readonly from: VersionVector; readonly to: VersionVector } | undefined;

  /** @returns whether the entry is a list. */
  update(entry: Entry): boolean {
    if (parseStateKey(entry.key)?.kind !== 'epochs') return false;
    this.#seals.set(
      entry.key,
      entry.versions.flatMap(({ dot, value }) => sealsOf(entry.key, dot, value)),
    );
    this.#memo = undefined;
    this.#memoOutward = undefined;
    return true;
  }

  /** What the vector means: with the ended lives that it leaves out. */
  inward(vector: VersionVector): VersionVector {
    if (this.#memo?.from === vector) return this.#memo.to;
    let full = vector;
    // A list may lie behind the end of the life that wrote it.
    for (let before: VersionVector | undefined; before !== full; ) {
      before = full;
      for (const { dot, ended } of this.#all()) if (full.contains(dot)) full = joined(full, VersionVector.of(ended));
    }
    this.#memo = { from: vector, to: full };
    return full;
  }

  /** The vector as it travels to whom it says only what to ask for: who lacks a list takes it for less than it is. */
  outward(vector: VersionVector): VersionVector {
    if (this.#memoOutward?.from === vector) return this.#memoOutward.to;
    const to = this.outwardTo(vector, () => true);
    this.#memoOutward = { from: vector, to };
    return to;
  }

  /**
   * The vector as the context of entries: it must mean all to everybody who reads it.
   * @param knows whether all readers have the list that this event wrote
   */
  outwardTo(vector: VersionVector, knows: (dot: Dot) => boolean): VersionVector {
    const left = new Map<ActorId, number>();
    for (const { dot, ended } of this.#all())
      if (vector.contains(dot) && knows(dot))
        for (const [actor, counter] of ended) left.set(actor, Math.max(counter, left.get(actor) ?? 0));
    const kept = [...vector.entries()].filter(([actor, counter]) => left.get(actor) !== counter);
    return kept.length === vector.size ? vector : VersionVector.of(kept);
  }

  /**
   * Events that wrote the lists by which {@link outwardTo} leaves lives out of this vector. A reader that lacks one of them
   * takes the vector for less than it is.
   */
  listsFor(vector: VersionVector, knows: (dot: Dot) => boolean): VersionVector {
    const used: Dot[] = [];
    const left = new Set<ActorId>();
    for (const { dot, ended } of this.#all()) {
      const some = ended.filter(([actor, counter]) => vector.counterOf(actor) === counter);
      if (some.length === 0 || !vector.contains(dot) || !knows(dot)) continue;
      used.push(dot);
      for (const [actor] of some) left.add(actor);
    }
    // Who has the list that names a life has the lists that the life wrote.
    const last = used.filter(({ actor }) => !left.has(actor));
    return VersionVector.of(last.map(({ actor, counter }) => [actor, counter]));
  }

  /** Whether a list says that the life ended before this event. */
  isOver({ actor, counter }: Dot): boolean {
    let end = 0;
    for (const { ended } of this.#all())
      for (const [other, last] of ended) if (other === actor) end = Math.max(end, last);
    return end > 0 && end < counter;
  }

  /** All lives of the region that some list names, with their last counters. */
  endedOf(region: string): ReadonlyMap<ActorId, number> {
    const ended = new Map<ActorId, number>();
    for (const { ended: some } of this.#all())
      for (const [actor, counter] of some)
        if (regionOf(actor) === region) ended.set(actor, Math.max(counter, ended.get(actor) ?? 0));
    return ended;
  }

  /** What the lists say of the region's lives: of each life and event once. */
  listed(region: string): EndedLife[] {
    const listed = new Map<string, EndedLife>();
    for (const { dot: by, ended } of this.#all())
      for (const [actor, counter] of ended) {
        const id = `${actor} ${formatDot(by)}`;
        if (regionOf(actor) === region && counter > (listed.get(id)?.counter ?? 0))
          listed.set(id, { actor, counter, by });
      }
    return [...listed.values()];
  }

  *#all(): Iterable<Seal> {
    for (const seals of this.#seals.values()) yield* seals;
  }
}

/** All lives that the entry lists; empty for one that is no list. */
export function livesListedIn({ key, versions }: Entry): VersionVector {
  const seals = versions.flatMap(({ dot, value }) => sealsOf(key, dot, value));
  return VersionVector.of(seals.flatMap(({ ended }) => ended));
}

export function encodeEndedEpochs(region: string, lives: readonly EndedLife[]): Uint8Array {
  const nameOf = ({ actor, by }: EndedLife) => `${actor} ${by === undefined ? '' : formatDot(by)}`;
  const sorted = [...lives].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  const by = sorted.map((life) => life.by);
  const isForeign = by.some((dot) => dot !== undefined && regionOf(dot.actor) !== region);
  const record = {
    ...livesRecord(sorted.map(({ actor, counter }) => [actor, counter])),
    listedEpochs: by.map((dot) => (dot === undefined ? 0n : epochOf(dot.actor))),
    listedCounters: by.map((dot) => BigInt(dot?.counter ?? 0)),
    listedRegions: isForeign ? by.map((dot) => (dot === undefined ? region : regionOf(dot.actor))) : [],
  };
  return toBinary(EndedEpochsRecordSchema, create(EndedEpochsRecordSchema, record));
}

/** Lives of one region with how far somebody had seen each. */
export function livesRecord(lives: Iterable<readonly [ActorId, number]>): {
  readonly epochs: bigint[];
  readonly counters: bigint[];
} {
  const all = [...lives];
  return { epochs: all.map(([actor]) => epochOf(actor)), counters: all.map(([, counter]) => BigInt(counter)) };
}

/** @returns undefined for a list that no region can have written. */
export function readLives(region: string, record: EndedEpochsRecord): [ActorId, number][] | undefined {
  if (record.epochs.length !== record.counters.length || record.epochs.length > ENDED_EPOCHS_MAX) return undefined;
  const counters = record.counters.map(Number);
  if (!counters.every((counter) => Number.isSafeInteger(counter) && counter >= 1)) return undefined;
  return record.epochs.map((epoch, i) => [actorId(region, epoch), counters[i] as number]);
}

export function epochOf(actor: ActorId): bigint {
  return BigInt(`0x${actor.slice(actor.indexOf('@') + 1)}`);
}

/** None for a list that cannot be read. */
function sealsOf(key: string, dot: Dot, value: Uint8Array): Seal[] {
  const parsed = parseStateKey(key);
  if (parsed?.kind !== 'epochs') return [];
  try {
    const record = fromBinary(EndedEpochsRecordSchema, value);
    const seals = new Map<string, { readonly dot: Dot; readonly ended: [ActorId, number][] }>();
    for (const [i, life] of (readLives(parsed.region, record) ?? []).entries()) {
      const by = listedBy(parsed.region, record, i) ?? dot;
      const seal = seals.get(formatDot(by)) ?? { dot: by, ended: [] };
      seal.ended.push(life);
      seals.set(formatDot(by), seal);
    }
    return [...seals.values()];
  } catch {
    return [];
  }
}

function listedBy(region: string, record: EndedEpochsRecord, index: number): Dot | undefined {
  const counter = Number(record.listedCounters[index] ?? 0n);
  if (counter < 1 || !Number.isSafeInteger(counter)) return undefined;
  return { actor: actorId(record.listedRegions[index] ?? region, record.listedEpochs[index] ?? 0n), counter };
}

/** The same object when nothing is new. */
function joined(vector: VersionVector, other: VersionVector): VersionVector {
  return vector.dominates(other) ? vector : vector.merge(other);
}
