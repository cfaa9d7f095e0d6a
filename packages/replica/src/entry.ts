import { createHash } from 'node:crypto';
import { compareTimestamps, type Dot, regionOf, type Timestamp, type VersionVector } from '@meridian/causality';

/** One value of a key that no other known value supersedes. */
export interface Version {
  readonly dot: Dot;
  readonly hlc: Timestamp;
  /** Empty when deleted. Never written to. */
  readonly value: Uint8Array;
  /** The key was deleted by this event. A deletion hides only what it saw: a concurrent write stays, and is what readers see. */
  readonly deleted: boolean;
  /** Who wrote it, as the door knows him; absent for what the system writes itself. Not part of the content. */
  readonly author?: string;
  /** What a later release adds to an event (a signature, a proof): kept and passed on unread. */
  readonly extension?: Uint8Array;
}

/**
 * All that is known of one key of the shared state. Immutable.
 *
 * 1. `versions` is sorted by dot, holds a dot once, and `context` contains every one of them.
 * 2. What `context` contains and `versions` does not is superseded: it can never come back.
 */
export interface Entry {
  readonly key: string;
  readonly versions: readonly Version[];
  readonly context: VersionVector;
}

/**
 * The version that readers see; undefined only for an entry without versions. A pure function of the set of versions:
 * highest HLC, then region, then hash of the content, so every region shows the same one. It is a deletion only when
 * nothing else is left: regions forget deletions at different times, and must read the same before and after.
 */
export function winnerOf(entry: Entry): Version | undefined {
  let winner: Version | undefined;
  for (const version of entry.versions) {
    const isBetter = winner === undefined || (winner.deleted && !version.deleted);
    if (isBetter || (winner?.deleted === version.deleted && comparePrecedence(version, winner) > 0)) winner = version;
  }
  return winner;
}

/** The winner's value; undefined when the key is absent or deleted. */
export function currentValue(entry: Entry | undefined): Uint8Array | undefined {
  const winner = entry && winnerOf(entry);
  return winner === undefined || winner.deleted ? undefined : winner.value;
}

/** True when values differ. Identical content written in several regions is one value; deletions are none. */
export function isConflicted(entry: Entry): boolean {
  const [first, ...others] = entry.versions.filter(({ deleted }) => !deleted);
  return first !== undefined && others.some((other) => !hasSameContent(first, other));
}

export function hasSameContent(a: Version, b: Version): boolean {
  return a.deleted === b.deleted && Buffer.compare(a.value, b.value) === 0;
}

export function compareDots(a: Dot, b: Dot): number {
  if (a.actor !== b.actor) return a.actor < b.actor ? -1 : 1;
  return a.counter - b.counter;
}

/** Positive when `a` wins over `b`. */
function comparePrecedence(a: Version, b: Version): number {
  return (
    compareTimestamps(a.hlc, b.hlc) ||
    compareText(regionOf(a.dot.actor), regionOf(b.dot.actor)) ||
    (hasSameContent(a, b) ? 0 : compareText(contentHash(a), contentHash(b))) ||
    compareDots(a.dot, b.dot)
  );
}

function contentHash(version: Version): string {
  const kind = version.deleted ? 'deleted' : 'value';
  return createHash('sha256').update(kind).update(version.value).digest('hex');
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
