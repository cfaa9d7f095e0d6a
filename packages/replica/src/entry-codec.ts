import type { MessageInitShape } from '@bufbuild/protobuf';
import { formatDot, formatTimestamp, parseDot, parseTimestamp, VersionVector } from '@meridian/causality';
import type { EntrySchema, Entry as WireEntry, Version as WireVersion } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { compareDots, type Entry, type Version } from './entry.ts';
import { isStateKey } from './state-key.ts';

/** A key becomes one subject token; 200 is what that may have. */
export const KEY_CHARS_MAX = 200;
/** As many as a vector has actors: one actor leaves at most one version of a key. */
export const VERSIONS_MAX = VersionVector.ENTRIES_MAX;
/** Of the name of a certificate. */
export const AUTHOR_CHARS_MAX = 128;
/** A signature with its proof has a few hundred bytes. */
export const EXTENSION_BYTES_MAX = 1024;
const NOTHING = new Uint8Array(0);

export function encodeEntry(entry: Entry): MessageInitShape<typeof EntrySchema> {
  return {
    key: entry.key,
    versions: entry.versions.map((version) => ({
      dot: formatDot(version.dot),
      hlc: formatTimestamp(version.hlc),
      value: version.value,
      deleted: version.deleted,
      author: version.author ?? '',
      extension: version.extension ?? NOTHING,
    })),
    context: entry.context.toString(),
  };
}

/** @throws Failure INVALID_ARGUMENT / ENTRY_INVALID naming what is wrong. Not retryable. */
export function decodeEntry(wire: WireEntry): Entry {
  if (!isStateKey(wire.key)) throw invalid(wire, 'key');
  if (wire.versions.length > VERSIONS_MAX) throw invalid(wire, 'number of versions');
  const context = VersionVector.parse(wire.context);
  if (context === undefined) throw invalid(wire, 'context');
  const versions = wire.versions.map((version) => decodeVersion(wire, version));
  for (const [i, { dot }] of versions.entries()) {
    const previous = versions[i - 1];
    if (previous !== undefined && compareDots(previous.dot, dot) >= 0) throw invalid(wire, 'order of the dots');
  }
  // Contexts leave out what a list of ended epochs says, also when a version is that old.
  const dots = VersionVector.of(versions.map(({ dot }) => [dot.actor, dot.counter]));
  return { key: wire.key, versions, context: context.merge(dots) };
}

function decodeVersion(wire: WireEntry, version: WireVersion): Version {
  const dot = parseDot(version.dot);
  if (dot === undefined) throw invalid(wire, 'dot');
  const hlc = parseTimestamp(version.hlc);
  if (hlc === undefined) throw invalid(wire, 'hlc');
  if (version.deleted && version.value.length > 0) throw invalid(wire, 'deleted version, which has a value');
  if (version.author.length > AUTHOR_CHARS_MAX) throw invalid(wire, 'author');
  if (version.extension.length > EXTENSION_BYTES_MAX) throw invalid(wire, 'extension');
  return {
    ...{ dot, hlc, value: version.value, deleted: version.deleted },
    ...(version.author !== '' && { author: version.author }),
    ...(version.extension.length > 0 && { extension: version.extension }),
  };
}

function invalid(wire: WireEntry, field: string): Failure {
  return new Failure('INVALID_ARGUMENT', `entry ${JSON.stringify(wire.key.slice(0, 60))}: the ${field} is not valid`, {
    reason: 'ENTRY_INVALID',
  });
}
