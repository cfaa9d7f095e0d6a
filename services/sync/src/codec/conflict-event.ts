import { createHash } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { formatDot, regionOf } from '@meridian/causality';
import type { ConflictChangedSchema, ConflictVersionSchema } from '@meridian/contracts/event';
import { CONFIG_PREFIX, type Entry, type Version, winnerOf } from '@meridian/replica';
import type { ConflictChange } from '../conflicts/conflict-watch.ts';

/** Of one version; 64 of them are well below what an event may have. */
const EVENT_VALUE_BYTES_MAX = 4 * 1024;

export function conflictMessage(entry: Entry): MessageInitShape<typeof ConflictChangedSchema> {
  const winner = winnerOf(entry);
  const isOpen = entry.key.startsWith(CONFIG_PREFIX);
  return {
    key: entry.key,
    versions: entry.versions.map((version) => versionMessage(version, version === winner, isOpen)),
  };
}

/** The same change has the same id, in whatever life of the process. */
export function conflictMessageId({ verb, entry, dots }: ConflictChange): string {
  return `${verb}/${createHash('sha256').update(`${entry.key}\n${dots}`).digest('hex')}`;
}

function versionMessage(
  { dot, hlc, author = '', deleted, value }: Version,
  winner: boolean,
  isOpen: boolean,
): MessageInitShape<typeof ConflictVersionSchema> {
  return {
    ...{ dot: formatDot(dot), region: regionOf(dot.actor), author, unixMs: BigInt(hlc.wallMs) },
    ...{ deleted, winner, valueBytes: value.length },
    ...(isOpen && !deleted && value.length <= EVENT_VALUE_BYTES_MAX && { value }),
  };
}
