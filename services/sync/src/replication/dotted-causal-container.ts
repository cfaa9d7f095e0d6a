import { type Dot, formatDot, VersionVector } from '@meridian/causality';
import { assert, Failure } from '@meridian/failure';
import { compareDots, type Entry, hasSameContent, type Version } from '@meridian/replica';

/**
 * The algebra of entries: dotted causal containers (Goncalves, Almeida, Baquero, Fonte, "DottedDB", SRDS 2017;
 * semantics of `swc_kv.erl`).
 *
 * 1. Merge is commutative, associative and idempotent, and the context never shrinks.
 * 2. A version disappears only when a context that saw it comes without it: then something superseded it.
 * 3. One dot is one event: the same dot with other content is refused, whoever sends it.
 */
export function emptyEntry(key: string): Entry {
  return { key, versions: [], context: VersionVector.EMPTY };
}

/** @throws Failure DATA_LOSS / DOT_REUSED when the two disagree on what an event wrote. Not retryable. */
export function mergeEntries(a: Entry, b: Entry): Entry {
  assert(a.key === b.key, 'only states of one key are merged');
  const versions: Version[] = [];
  for (const version of a.versions) {
    const other = versionAt(b, version.dot);
    if (other !== undefined) requireSameEvent(a.key, version, other);
    if (other !== undefined || !b.context.contains(version.dot)) versions.push(version);
  }
  // What both have is in already; what a's context contains and a does not have is superseded.
  for (const version of b.versions) if (!a.context.contains(version.dot)) versions.push(version);
  versions.sort((x, y) => compareDots(x.dot, y.dot));
  return { key: a.key, versions, context: a.context.merge(b.context) };
}

/**
 * The entry after an event that saw `seen`: what `seen` contains is superseded, the rest stays beside the new version.
 * A deletion is a version without value.
 */
export function writeVersion(entry: Entry, version: Version, seen: VersionVector = entry.context): Entry {
  assert(!entry.context.contains(version.dot) && !seen.contains(version.dot), 'an event happens once');
  const versions = entry.versions.filter(({ dot }) => !seen.contains(dot));
  versions.push(version);
  versions.sort((x, y) => compareDots(x.dot, y.dot));
  const own = VersionVector.of([[version.dot.actor, version.dot.counter]]);
  return { key: entry.key, versions, context: entry.context.merge(seen).merge(own) };
}

/**
 * All versions of both, whatever their contexts say: for two states that claim to have seen the same and differ. What
 * was superseded may come back as a conflict; nothing that was kept anywhere is lost.
 * @throws Failure DATA_LOSS / DOT_REUSED as {@link mergeEntries}
 */
export function uniteEntries(a: Entry, b: Entry): Entry {
  const merged = new Map<string, Version>(a.versions.map((version) => [formatDot(version.dot), version]));
  for (const version of b.versions) {
    const own = merged.get(formatDot(version.dot));
    if (own !== undefined) requireSameEvent(a.key, own, version);
    else merged.set(formatDot(version.dot), version);
  }
  const versions = [...merged.values()].sort((x, y) => compareDots(x.dot, y.dot));
  return { key: a.key, versions, context: a.context.merge(b.context) };
}

/** Equal as values of the algebra: same events seen, same versions left. */
export function isSameState(a: Entry, b: Entry): boolean {
  return hasSameVersions(a, b) && a.context.compare(b.context) === 'equal';
}

/** The same versions are left, whatever else was seen. */
export function hasSameVersions(a: Entry, b: Entry): boolean {
  return (
    a.key === b.key &&
    a.versions.length === b.versions.length &&
    a.versions.every((version, i) => compareDots(version.dot, (b.versions[i] as Version).dot) === 0)
  );
}

/** An upper bound of the encoded size without the context, close enough to fill messages by. */
export function entryBytes(entry: Entry): number {
  let bytes = entry.key.length + ENTRY_OVERHEAD_BYTES;
  for (const { value, extension } of entry.versions)
    bytes += value.length + (extension?.length ?? 0) + VERSION_OVERHEAD_BYTES;
  return bytes;
}

/** Dot, time, author: most versions need less. */
const VERSION_OVERHEAD_BYTES = 130;
const ENTRY_OVERHEAD_BYTES = 16;

function versionAt(entry: Entry, dot: Dot): Version | undefined {
  return entry.versions.find((version) => compareDots(version.dot, dot) === 0);
}

function requireSameEvent(key: string, a: Version, b: Version): void {
  if (a.hlc.wallMs === b.hlc.wallMs && a.hlc.logical === b.hlc.logical && hasSameContent(a, b)) return;
  throw new Failure('DATA_LOSS', `${key}: two different events claim to be ${a.dot.actor}=${a.dot.counter}`, {
    reason: 'DOT_REUSED',
  });
}
