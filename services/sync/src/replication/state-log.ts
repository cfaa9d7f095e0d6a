import { compareTimestamps, TIMESTAMP_ZERO, type Timestamp, VersionVector } from '@meridian/causality';
import type { Entry } from '@meridian/replica';
import { partialIn } from './group-records.ts';
import { META_KEY, type Meta, type StoredRecord } from './protocol.ts';

interface RecoveredEntry {
  readonly entry: Entry;
  readonly sequence: number;
  /** The log has a later one that does not count: this one has to be written over it before anything else. */
  readonly isUndone: boolean;
}

/** What a log holds, as far as it can be read. */
export interface ReadableLog {
  /** The last of each key. */
  readonly records: readonly StoredRecord[];
  /** Sequences of last records that cannot be read, by key. What is written next to the key takes their place. */
  readonly unreadable: ReadonlyMap<string, number>;
  /** Every record could be read. One that could not may be of no key at all. */
  readonly isComplete: boolean;
}

/** What a log says of the region's state. */
export interface RecoveredLog {
  /** Contexts hold what each key had seen beyond {@link vector}. */
  readonly entries: readonly RecoveredEntry[];
  readonly vector: VersionVector;
  readonly meta: Meta;
  readonly unreadable: ReadableLog['unreadable'];
  /** Of the meta record; 0 for none. */
  readonly metaSequence: number;
  /** The region's time goes on from here. */
  readonly last: Timestamp;
  /** Every record could be read. If not, `meta` says so, and has to be written before anything else. */
  readonly isComplete: boolean;
}

const NONE: ReadonlySet<StoredRecord> = new Set();

export const NO_META: Meta = { collected: VersionVector.EMPTY, generation: 0, distrustedUntil: 0 };

/**
 * Reads the last record of every key, in any order.
 *
 * 1. The vector is the join of the clocks in the records and of their writers' own events, not of the entries' contexts:
 *    a batch from a peer that was interrupted left contexts that promise more than was applied.
 * 2. One record that cannot be read (`isComplete` false) may have held anything: then nothing of all records so far is
 *    taken for seen but what each key had seen for itself, also at later starts, and everything is asked for again.
 *    Whether deletions were collected is not known either: whoever lacks anything gets whole ranges.
 * 3. Of own records that were written together all count or none does.
 * 4. The region's time goes on from the highest timestamp of all, whatever the wall says.
 */
export function recoverLog({ records, unreadable, isComplete }: ReadableLog): RecoveredLog {
  const meta = records.find(({ record }) => record.key === META_KEY);
  const known = meta?.record.meta ?? NO_META;
  const newest = records.reduce((max, { sequence }) => Math.max(max, sequence), 0);
  const distrustedUntil = isComplete ? known.distrustedUntil : newest;
  let [vector, all] = [VersionVector.EMPTY, VersionVector.EMPTY];
  let last: Timestamp = TIMESTAMP_ZERO;
  const entries: RecoveredEntry[] = [];
  // Of a damaged log the missing ones may be those that could not be read.
  const partial = isComplete ? partialIn(records.filter(({ sequence }) => sequence > distrustedUntil)) : NONE;
  for (const stored of records) {
    const { record, sequence } = stored;
    const { entry, clock, lineage, group } = record;
    const isPartial = partial.has(stored);
    const own = lineage.actor === undefined ? clock : clock.merge(VersionVector.of([[lineage.actor, lineage.counter]]));
    all = all.merge(own);
    if (sequence > distrustedUntil) vector = vector.merge(isPartial ? clock : own);
    for (const hlc of [record.last, ...(entry?.versions ?? []).map((version) => version.hlc)])
      if (compareTimestamps(hlc, last) > 0) last = hlc;
    const before = isPartial ? group?.before : undefined;
    if (before !== undefined) entries.push({ entry: seenBy(before, clock), sequence, isUndone: true });
    else if (entry !== undefined) entries.push({ entry: seenBy(entry, own), sequence, isUndone: false });
  }
  const collected = isComplete ? known.collected : all;
  const noted = { ...known, collected, distrustedUntil };
  return { entries, vector, meta: noted, metaSequence: meta?.sequence ?? 0, unreadable, last, isComplete };
}

function seenBy(entry: Entry, clock: VersionVector): Entry {
  return { ...entry, context: entry.context.merge(clock) };
}
