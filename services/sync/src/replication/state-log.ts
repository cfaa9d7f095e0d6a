import { compareTimestamps, TIMESTAMP_ZERO, type Timestamp, VersionVector } from '@meridian/causality';
import type { Entry } from '@meridian/replica';
import { META_KEY, type Meta, type StoredRecord } from './protocol.ts';

/** What a log says of the region's state. */
export interface RecoveredLog {
  /** Contexts hold what each key had seen beyond {@link vector}. */
  readonly entries: readonly { readonly entry: Entry; readonly sequence: number }[];
  readonly vector: VersionVector;
  readonly meta: Meta;
  /** Of the meta record; 0 for none. */
  readonly metaSequence: number;
}

export const NO_META: Meta = { lastTimestamp: TIMESTAMP_ZERO, collected: VersionVector.EMPTY, generation: 0 };

/**
 * Reads the last record of every key, in any order.
 *
 * 1. The vector is the join of the clocks in the records and of their writers' own events, not of the entries' contexts:
 *    a batch from a peer that was interrupted left contexts that promise more than was applied.
 * 2. One record that cannot be read (`isComplete` false) may have held anything: then nothing is taken for seen but what
 *    each key had seen for itself, and everything is asked for again. Whether deletions were collected is not known
 *    either: whoever lacks anything gets whole ranges.
 * 3. The region's time goes on from the highest timestamp of all, whatever the wall says.
 */
export function recoverLog(records: readonly StoredRecord[], isComplete: boolean): RecoveredLog {
  let vector = VersionVector.EMPTY;
  let last: Timestamp = TIMESTAMP_ZERO;
  const entries: { entry: Entry; sequence: number }[] = [];
  let meta: (StoredRecord & { readonly record: { readonly meta?: Meta } }) | undefined;
  for (const stored of records) {
    const { entry, clock, lineage } = stored.record;
    const own = lineage.actor === undefined ? clock : clock.merge(VersionVector.of([[lineage.actor, lineage.counter]]));
    vector = vector.merge(own);
    if (stored.record.key === META_KEY) meta = stored;
    if (entry === undefined) continue;
    for (const { hlc } of entry.versions) if (compareTimestamps(hlc, last) > 0) last = hlc;
    entries.push({ entry: { ...entry, context: entry.context.merge(own) }, sequence: stored.sequence });
  }
  const known = meta?.record.meta ?? NO_META;
  const lastTimestamp = compareTimestamps(known.lastTimestamp, last) > 0 ? known.lastTimestamp : last;
  const collected = isComplete ? known.collected : vector;
  return {
    entries,
    vector: isComplete ? vector : VersionVector.EMPTY,
    meta: { ...known, lastTimestamp, collected },
    metaSequence: meta?.sequence ?? 0,
  };
}
