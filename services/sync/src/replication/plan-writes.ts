import type { Dot, Timestamp, VersionVector } from '@meridian/causality';
import { Failure } from '@meridian/failure';
import { type Entry, isConflicted, VERSIONS_MAX, type Version, winnerOf } from '@meridian/replica';
import { entryBytes, writeVersion } from './dotted-causal-container.ts';
import type { NodeClock } from './node-clock.ts';
import type { Cause, Change } from './protocol.ts';
import type { View } from './view.ts';
import type { WorkQueue, WriteWork } from './work-queue.ts';

/** Of one value. A manifest with the largest alphabet has 50 KB. */
export const VALUE_BYTES_MAX = 96 * 1024;
/** Of a whole entry: a record, and a page of one entry, must fit into a message of 1 MiB. */
export const ENTRY_BYTES_MAX = 768 * 1024;
/** Keys of a region's view, all of which are in memory. */
export const ENTRIES_MAX = 10_000;
/** One group: as many records as are worth a common delta, which must fit into a message. */
export const GROUP_WRITES_MAX = 128;
export const GROUP_BYTES_MAX = 256 * 1024;

export interface WriteSources {
  readonly view: View;
  readonly clock: NodeClock;
  readonly timestamp: () => Timestamp;
  readonly newEpoch: () => bigint;
  /** A vector as it is meant, from one as it travels. */
  readonly inward: (vector: VersionVector) => VersionVector;
  /** What the first write of this life has to say about the lives before it. */
  readonly first: () => WriteWork | undefined;
  /** @throws Failure VECTOR_FULL when a new actor would be one too many. */
  readonly requireRoom: () => void;
}

export interface PlannedWrite {
  readonly id: number;
  readonly cause: Cause | undefined;
  readonly entry: Entry;
  readonly dot: Dot;
  /** What it replaces: versions, and deletions that are forgotten by now. */
  readonly seen: VersionVector;
}

export interface WritesPlan {
  /** Of different keys; their dots follow each other. */
  readonly writes: readonly PlannedWrite[];
  /** Readers see the value already, by this version. */
  readonly unchanged: readonly { readonly id: number; readonly by: Version | undefined }[];
  readonly refused: readonly { readonly id: number; readonly failure: Failure }[];
}

/**
 * Takes writes at the head of the queue, of different keys, as one group. Nothing happens to the clock yet. Further writes
 * to a key of the group stay, in their order.
 */
export function planWrites(queue: WorkQueue, sources: WriteSources): WritesPlan {
  const group = new Group(sources);
  queue.takeWrites((work) => {
    if (group.writes.has(work.change.key)) return 'leave';
    if (!group.hasRoomFor(work)) return 'end';
    group.take(work);
    return 'take';
  });
  return { unchanged: group.unchanged, refused: group.refused, writes: [...group.writes.values()] };
}

class Group {
  readonly unchanged: WritesPlan['unchanged'][number][] = [];
  readonly refused: WritesPlan['refused'][number][] = [];
  /** By key. */
  readonly writes = new Map<string, PlannedWrite>();
  readonly #sources: WriteSources;
  #clock: NodeClock;
  #bytes = 0;
  #added = 0;

  constructor(sources: WriteSources) {
    this.#sources = sources;
    this.#clock = sources.clock;
  }

  hasRoomFor({ change }: WriteWork): boolean {
    if (this.writes.size === 0) return true;
    const existing = this.#sources.view.get(change.key);
    const bytes = (existing === undefined ? 0 : entryBytes(existing)) + (change.value?.length ?? 0);
    return this.writes.size < GROUP_WRITES_MAX && this.#bytes + bytes <= GROUP_BYTES_MAX;
  }

  take(work: WriteWork): void {
    const { id, change } = work;
    const existing = this.#sources.view.get(change.key);
    if (isUnneeded(existing, change)) {
      this.unchanged.push({ id, by: existing && winnerOf(existing) });
      return;
    }
    try {
      if (this.#clock.lineage.actor === undefined) this.#begin(change.key);
      this.#plan(work);
    } catch (error) {
      this.refused.push({ id, failure: Failure.from(error) });
    }
  }

  /** A life that writes says first how far its earlier lives went: with this event they leave the vectors. */
  #begin(key: string): void {
    this.#sources.requireRoom();
    const first = this.#sources.first();
    if (first !== undefined && first.change.key !== key) this.#plan(first);
  }

  #plan({ id, change, cause }: WriteWork): void {
    const { view } = this.#sources;
    const isNew = view.get(change.key) === undefined;
    if (isNew && view.size + this.#added >= ENTRIES_MAX) throw stateFull();
    const planned = planWrite(change, view.at(change.key), { ...this.#sources, clock: this.#clock });
    this.#clock = this.#clock.wrote(planned.dot);
    this.#bytes += entryBytes(planned.entry);
    if (isNew) this.#added++;
    this.writes.set(change.key, { id, cause, ...planned });
  }
}

function planWrite(change: Change, before: Entry, sources: WriteSources): Pick<PlannedWrite, 'entry' | 'dot' | 'seen'> {
  const { key, author, value = new Uint8Array(0) } = change;
  if (value.length > VALUE_BYTES_MAX)
    throw tooLarge(`${key}: ${value.length} bytes, at most ${VALUE_BYTES_MAX} are taken`);
  const dot = sources.clock.nextDot(sources.newEpoch);
  const seen = change.seen === undefined ? before.context : sources.inward(change.seen);
  if (seen.contains(dot))
    throw new Failure('INVALID_ARGUMENT', `the context of ${key} contains events that have not happened yet`, {
      reason: 'CONTEXT_INVALID',
    });
  const version = {
    ...{ dot, hlc: sources.timestamp(), value, deleted: change.value === undefined },
    ...(author !== undefined && { author }),
  };
  const entry = writeVersion(before, version, seen);
  if (entryBytes(entry) > ENTRY_BYTES_MAX || entry.versions.length > VERSIONS_MAX)
    throw tooLarge(`${key} would hold too many versions: resolve its conflict`);
  return { entry, dot, seen };
}

function isUnneeded(existing: Entry | undefined, change: Change): boolean {
  const winner = existing && winnerOf(existing);
  if (existing === undefined || winner === undefined) return change.value === undefined;
  if (change.when === 'absent') return true;
  // A write that repeats the winner of a conflict ends the conflict.
  if (isConflicted(existing)) return false;
  if (change.value === undefined) return winner.deleted;
  return !winner.deleted && Buffer.compare(winner.value, change.value) === 0;
}

function stateFull(): Failure {
  return new Failure('RESOURCE_EXHAUSTED', `the shared state has its ${ENTRIES_MAX} keys`, {
    reason: 'STATE_FULL',
    retryable: false,
  });
}

function tooLarge(message: string): Failure {
  return new Failure('INVALID_ARGUMENT', message, { reason: 'ENTRY_TOO_LARGE' });
}
