import type { Dot, Timestamp, VersionVector } from '@meridian/causality';
import { Failure } from '@meridian/failure';
import { type Entry, VERSIONS_MAX } from '@meridian/replica';
import { entryBytes, hasSameVersions, mergeEntries, uniteEntries } from './dotted-causal-container.ts';
import { ENTRIES_MAX, ENTRY_BYTES_MAX } from './plan-writes.ts';
import type { AlarmReason } from './protocol.ts';
import type { View } from './view.ts';

export interface MergeRules {
  /** Whether the event's region is a member, and it is not after that region's seal. */
  readonly admits: (dot: Dot) => boolean;
  /** Takes a remote timestamp into the own clock, or says that it is too far ahead. */
  readonly receives: (t: Timestamp) => boolean;
  /** Keep all versions of both sides. */
  readonly isRepair: boolean;
  /** What has been taken over of the key, and is not in the clock yet. */
  readonly seenOf: (key: string) => VersionVector;
}

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

/** Decides what a peer's entries change. */
export function planMerge(view: View, remote: readonly Entry[], rules: MergeRules): MergePlan {
  const merged = new Map<string, Entry>();
  const rejected: Rejected[] = [];
  let added = 0;
  for (const entry of remote) {
    const { key } = entry;
    const before = merged.get(key) ?? view.at(key);
    const existing = withContext(before, rules.seenOf(key));
    const result = mergeOne(existing, entry, rules);
    const isNew = !merged.has(key) && view.get(key) === undefined;
    if (typeof result === 'string') rejected.push({ key, reason: result });
    else if (isNoNews(entry, before) && hasSameVersions(existing, result)) continue;
    else if (isNew && view.size + added >= ENTRIES_MAX) rejected.push({ key, reason: 'STATE_FULL' });
    else {
      merged.set(key, result);
      if (isNew) added++;
    }
  }
  return { entries: [...merged.values()], rejected };
}

/**
 * Keys of the range that a whole-range answer does not have: there is nothing left of them that its clock contains
 * (deletions that were collected are only seen by this).
 */
export function absentIn(
  view: View,
  range: { readonly afterKey: string; readonly untilKey: string },
  present: readonly Entry[],
  vector: VersionVector,
): Entry[] {
  const keys = new Set(present.map(({ key }) => key));
  const absent: Entry[] = [];
  for (const key of view.keysBetween(range.afterKey, range.untilKey))
    if (!keys.has(key)) absent.push({ key, versions: [], context: vector });
  return absent;
}

/** False for what a round under way has shown to be over: the clock may rest on that, and then the log has to have it. */
function isNoNews({ versions }: Entry, { context }: Entry): boolean {
  return versions.every(({ dot }) => context.contains(dot));
}

function withContext(entry: Entry, seen: VersionVector): Entry {
  return seen.size === 0 ? entry : { ...entry, context: entry.context.merge(seen) };
}

function mergeOne(existing: Entry, remote: Entry, rules: MergeRules): Entry | AlarmReason {
  for (const { dot, hlc } of remote.versions) {
    if (existing.context.contains(dot) && !rules.isRepair) continue;
    if (!rules.admits(dot)) return 'NOT_A_MEMBER';
    if (!rules.receives(hlc)) return 'FAR_FUTURE';
  }
  try {
    const merged = rules.isRepair ? uniteEntries(existing, remote) : mergeEntries(existing, remote);
    return entryBytes(merged) > ENTRY_BYTES_MAX || merged.versions.length > VERSIONS_MAX ? 'ENTRY_TOO_LARGE' : merged;
  } catch (error) {
    if (Failure.from(error).reason === 'DOT_REUSED') return 'DOT_REUSED';
    throw error;
  }
}
