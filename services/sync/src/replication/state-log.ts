import { compareTimestamps, TIMESTAMP_ZERO, type Timestamp, VersionVector } from '@meridian/causality';
import type { Lineage } from './node-clock.ts';
import type { StoredRecord } from './protocol.ts';

/** What a log says of the region's state. */
export interface RecoveredLog {
  readonly records: readonly StoredRecord[];
  readonly vector: VersionVector;
  readonly lineage: Lineage;
  /** Highest timestamp of all versions: the region's clock goes on from there, whatever the wall says. */
  readonly lastTimestamp: Timestamp;
}

/**
 * Reads the last record of every key, in any order.
 *
 * 1. The vector is the join of the clocks in the records, not of the entries' contexts: a batch from a peer that was
 *    interrupted left contexts that promise more than was applied.
 * 2. The writer is the one of the newest record; its counter the highest among its records. One record that cannot be
 *    read (`isComplete` false) may have held any of it: then nothing is taken for seen, everything is asked for again,
 *    and the lineage ends (a reused dot would silently lose acknowledged writes).
 */
export function recoverLog(records: readonly StoredRecord[], isComplete: boolean): RecoveredLog {
  let newest: StoredRecord | undefined;
  for (const stored of records) if (newest === undefined || stored.sequence > newest.sequence) newest = stored;
  const actor = isComplete ? newest?.record.lineage.actor : undefined;
  let vector = VersionVector.EMPTY;
  let counter = 0;
  let lastTimestamp = TIMESTAMP_ZERO;
  for (const { record } of records) {
    if (isComplete) vector = vector.merge(record.clock);
    if (actor !== undefined && record.lineage.actor === actor) counter = Math.max(counter, record.lineage.counter);
    for (const { hlc } of record.entry.versions) if (compareTimestamps(hlc, lastTimestamp) > 0) lastTimestamp = hlc;
  }
  return { records, vector: withOwn(vector, { actor, counter }), lineage: { actor, counter }, lastTimestamp };
}

/** The own event of a record is not in its clock: it was not durable yet. */
function withOwn(vector: VersionVector, { actor, counter }: Lineage): VersionVector {
  return actor === undefined || counter === 0 ? vector : vector.merge(VersionVector.of([[actor, counter]]));
}
