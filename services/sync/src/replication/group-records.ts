import type { VersionVector } from '@meridian/causality';
import type { Entry } from '@meridian/replica';
import { entryBytes } from './dotted-causal-container.ts';
import { ENTRY_BYTES_MAX, type PlannedWrite } from './plan-writes.ts';
import type { Group, StoredRecord } from './protocol.ts';
import type { View } from './view.ts';

/**
 * Own records that go into the log together.
 *
 * 1. The log takes them in any order, and a process can die in between, or its store be copied: then some are there and
 *    others are not. A clock that contained the later ones would claim the others, which the original of a copied store may
 *    yet acknowledge. So a group counts only as a whole, and each record holds what its key had before.
 * 2. A whole group may lose records to later ones of their keys. Those are written after it, and their clocks contain it.
 */
export function groupOf(
  writes: readonly PlannedWrite[],
  after: Entry,
  view: View,
  clock: VersionVector,
): { readonly group?: Group } {
  const last = writes.at(-1);
  if (writes.length < 2 || last === undefined) return {};
  const before = view.at(after.key);
  const isFitting = entryBytes(before) + entryBytes(after) <= ENTRY_BYTES_MAX;
  const kept = isFitting ? view.stripped(before, clock) : undefined;
  return { group: { size: writes.length, last: last.dot.counter, before: kept } };
}

/** Records of groups of which something is missing. */
export function partialIn(records: readonly StoredRecord[]): ReadonlySet<StoredRecord> {
  const found = new Map<string, StoredRecord[]>();
  for (const stored of records) {
    const { group, lineage } = stored.record;
    if (group === undefined) continue;
    const name = `${lineage.actor} ${group.last}`;
    found.set(name, [...(found.get(name) ?? []), stored]);
  }
  const partial = new Set<StoredRecord>();
  for (const members of found.values())
    if (!isWhole(members, records)) for (const stored of members) partial.add(stored);
  return partial;
}

function isWhole(members: readonly StoredRecord[], records: readonly StoredRecord[]): boolean {
  const first = members[0]?.record;
  const actor = first?.lineage.actor;
  if (first?.group === undefined || actor === undefined || members.length >= first.group.size) return true;
  const { last } = first.group;
  return records.some(({ record }) => record.clock.counterOf(actor) >= last);
}
