import type { MessageInitShape } from '@bufbuild/protobuf';
import { formatDot, formatTimestamp, regionOf, VersionVector } from '@meridian/causality';
import type { EntryViewSchema, VersionViewSchema } from '@meridian/contracts/state';
import { type Entry, isConflicted, type Version, winnerOf } from '@meridian/replica';

/**
 * An entry as people look at it.
 * @param vector the region's clock: whoever writes with the view's context has seen what the region has
 */
export function entryView(entry: Entry, vector: VersionVector): MessageInitShape<typeof EntryViewSchema> {
  const winner = winnerOf(entry);
  return {
    key: entry.key,
    versions: entry.versions.map(versionView),
    ...(winner !== undefined && { winner: entry.versions.indexOf(winner) }),
    conflicted: isConflicted(entry),
    context: vector.merge(entry.context).toString(),
  };
}

/** A key that is not there. */
export function absentView(key: string, vector: VersionVector): MessageInitShape<typeof EntryViewSchema> {
  return { key, context: vector.toString() };
}

export function versionView(version: Version): MessageInitShape<typeof VersionViewSchema> {
  const { dot, hlc, author = '', deleted, value } = version;
  return {
    ...{ dot: formatDot(dot), hlc: formatTimestamp(hlc), unixMs: BigInt(hlc.wallMs) },
    ...{ region: regionOf(dot.actor), author, deleted, value },
  };
}

/**
 * The session token of an answer: what the region has seen, and the versions that were shown. A batch that is not complete
 * yet may have brought some before the region's clock covers them.
 */
export function tokenOf(vector: VersionVector, shown: Iterable<Entry>): string {
  const beyond = Array.from(shown, ({ versions }) => versions)
    .flat()
    .filter(({ dot }) => !vector.contains(dot))
    .map(({ dot }) => [dot.actor, dot.counter] as const);
  return vector.merge(VersionVector.of(beyond)).toString();
}
