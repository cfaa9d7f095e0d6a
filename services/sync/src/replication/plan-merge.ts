import { type Timestamp, VersionVector } from '@meridian/causality';
import { Failure } from '@meridian/failure';
import type { Entry } from '@meridian/replica';
import { emptyEntry, entryBytes, isSameState, mergeEntries } from './dotted-causal-container.ts';
import { ENTRIES_MAX, ENTRY_BYTES_MAX } from './plan-writes.ts';
import type { AlarmReason } from './protocol.ts';
import type { View } from './view.ts';

export interface Rejected {
  readonly key: string;
  readonly reason: AlarmReason;
}

export interface MergePlan {
  /** What the log does not have yet, one a key. */
  readonly entries: readonly Entry[];
  /** Held back: not applied, and so not to be taken for seen; the next round brings them again. */
  readonly rejected: readonly Rejected[];
}

/**
 * Decides what a peer's entries change.
 * @param admit takes a remote timestamp into the own clock, or says that it is too far ahead
 */
export function planMerge(view: View, remote: readonly Entry[], admit: (t: Timestamp) => boolean): MergePlan {
  const merged = new Map<string, Entry>();
  const rejected: Rejected[] = [];
  let added = 0;
  for (const entry of remote) {
    const existing = merged.get(entry.key) ?? view.get(entry.key);
    const result = mergeOne(existing, entry, admit);
    const isNew = existing === undefined;
    if (typeof result === 'string') rejected.push({ key: entry.key, reason: result });
    else if (isNew && view.size + added >= ENTRIES_MAX) rejected.push({ key: entry.key, reason: 'STATE_FULL' });
    else if (isNew || !isSameState(existing, result)) {
      merged.set(entry.key, result);
      if (isNew) added++;
    }
  }
  return { entries: [...merged.values()], rejected };
}

function mergeOne(existing: Entry | undefined, remote: Entry, admit: (t: Timestamp) => boolean): Entry | AlarmReason {
  if (!remote.versions.every(({ hlc }) => admit(hlc))) return 'FAR_FUTURE';
  try {
    const merged = mergeEntries(existing ?? emptyEntry(remote.key), remote);
    if (merged.context.size > VersionVector.ENTRIES_MAX) return 'VECTOR_FULL';
    return entryBytes(merged) > ENTRY_BYTES_MAX ? 'ENTRY_TOO_LARGE' : merged;
  } catch (error) {
    if (Failure.from(error).reason === 'DOT_REUSED') return 'DOT_REUSED';
    throw error;
  }
}
