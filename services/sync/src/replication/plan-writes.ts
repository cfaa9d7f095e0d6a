import { type Dot, type Timestamp, VersionVector } from '@meridian/causality';
import { Failure } from '@meridian/failure';
import { type Entry, isConflicted, type Version, winnerOf } from '@meridian/replica';
import { emptyEntry, entryBytes, writeVersion } from './dotted-causal-container.ts';
import type { NodeClock } from './node-clock.ts';
import type { Cause, Change } from './protocol.ts';
import type { View } from './view.ts';
import type { WorkQueue } from './work-queue.ts';

/** Of one value. A manifest with the largest alphabet has 50 KB. */
export const VALUE_BYTES_MAX = 96 * 1024;
/** Of a whole entry: a record, and a page of one entry, must fit into a message of 1 MiB. */
export const ENTRY_BYTES_MAX = 768 * 1024;
/** Keys of a region's view, all of which are in memory. */
export const ENTRIES_MAX = 10_000;
/** One group: as many records as are worth a common delta, which must fit into a message. */
export const GROUP_WRITES_MAX = 64;
const GROUP_BYTES_MAX = 256 * 1024;

export interface WriteSources {
  readonly view: View;
  readonly clock: NodeClock;
  readonly timestamp: () => Timestamp;
  readonly newEpoch: () => bigint;
}

export interface PlannedWrite {
  readonly id: number;
  readonly cause: Cause | undefined;
  readonly entry: Entry;
  readonly dot: Dot;
}

export interface WritesPlan {
  /** Of different keys; their dots follow each other. */
  readonly writes: readonly PlannedWrite[];
  /** Readers see the value already, by this version. */
  readonly unchanged: readonly { readonly id: number; readonly by: Version | undefined }[];
  readonly refused: readonly { readonly id: number; readonly failure: Failure }[];
}

/** Takes the writes at the head of the queue, of different keys, as one group. Nothing happens to the clock yet. */
export function planWrites(queue: WorkQueue, sources: WriteSources): WritesPlan {
  const writes = new Map<string, PlannedWrite>();
  const unchanged: WritesPlan['unchanged'][number][] = [];
  const refused: WritesPlan['refused'][number][] = [];
  let { clock } = sources;
  let bytes = 0;
  let added = 0;
  for (let work = queue.first(); work?.kind === 'write'; work = queue.first()) {
    const { id, change } = work;
    const existing = sources.view.get(change.key);
    if (writes.size >= GROUP_WRITES_MAX || writes.has(change.key)) break;
    if (writes.size > 0 && bytes + sizeAfter(existing, change) > GROUP_BYTES_MAX) break;
    queue.shift();
    if (isUnneeded(existing, change)) {
      unchanged.push({ id, by: existing && winnerOf(existing) });
      continue;
    }
    try {
      if (existing === undefined && sources.view.size + added >= ENTRIES_MAX) throw stateFull();
      const planned = planWrite(change, existing ?? emptyEntry(change.key), { ...sources, clock });
      const write = { id, cause: work.cause, ...planned };
      clock = clock.wrote(write.dot);
      bytes += entryBytes(write.entry);
      if (existing === undefined) added++;
      writes.set(change.key, write);
    } catch (error) {
      refused.push({ id, failure: Failure.from(error) });
    }
  }
  return { writes: [...writes.values()], unchanged, refused };
}

function planWrite(change: Change, before: Entry, sources: WriteSources): Pick<PlannedWrite, 'entry' | 'dot'> {
  const value = change.value ?? new Uint8Array(0);
  if (value.length > VALUE_BYTES_MAX)
    throw tooLarge(`${change.key}: ${value.length} bytes, at most ${VALUE_BYTES_MAX} are taken`);
  const dot = sources.clock.nextDot(sources.newEpoch);
  const { author } = change;
  const version = {
    ...{ dot, hlc: sources.timestamp(), value, deleted: change.value === undefined },
    ...(author !== undefined && { author }),
  };
  const entry = writeVersion(before, version, change.seen ?? before.context);
  if (entryBytes(entry) > ENTRY_BYTES_MAX || entry.context.size > VersionVector.ENTRIES_MAX)
    throw tooLarge(`${change.key} would hold too many versions: resolve its conflict`);
  return { entry, dot };
}

function isUnneeded(existing: Entry | undefined, change: Change): boolean {
  if (existing === undefined) return change.value === undefined;
  if (change.when === 'absent') return true;
  const winner = winnerOf(existing);
  // A write that repeats the winner of a conflict ends the conflict.
  if (winner === undefined || isConflicted(existing)) return false;
  if (change.value === undefined) return winner.deleted;
  return !winner.deleted && Buffer.compare(winner.value, change.value) === 0;
}

function sizeAfter(existing: Entry | undefined, change: Change): number {
  return (existing === undefined ? 0 : entryBytes(existing)) + (change.value?.length ?? 0);
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
