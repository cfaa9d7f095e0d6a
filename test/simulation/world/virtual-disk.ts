import type { Append, StoredRecord } from '../../../services/sync/src/replication/protocol.ts';
import type { IdSet } from '../oracle/id-set.ts';
import { StoreFacts } from '../oracle/store-facts.ts';
import { Violation } from '../violation.ts';

/** A region's log: the last record of each key, appended by compare-and-set. */
export class VirtualDisk {
  readonly records = new Map<string, StoredRecord>();
  /** Keys of which a torn record lies on top: it cannot be read, the one before can. */
  readonly unreadable = new Set<string>();
  /** The region's folder, not the log, says so. */
  hadLog = false;
  readonly facts: StoreFacts;
  #sequence = 0;

  constructor(facts: StoreFacts) {
    this.facts = facts;
  }

  /** @returns the record's sequence */
  append(append: Append): number {
    const { record, expectedSequence } = append;
    const found = this.records.get(record.key)?.sequence ?? 0;
    if (found !== expectedSequence)
      throw new Violation('S6', `${record.key}: appended on top of ${expectedSequence}, and ${found} is there`);
    this.records.set(record.key, { record, sequence: ++this.#sequence });
    this.unreadable.delete(record.key);
    this.hadLog = true;
    return this.#sequence;
  }

  tear(key: string): void {
    this.unreadable.add(key);
  }

  forget(key: string, sequence: number): StoredRecord | undefined {
    const found = this.records.get(key);
    if (found === undefined || found.sequence > sequence) return undefined;
    this.records.delete(key);
    this.unreadable.delete(key);
    return found;
  }

  /** The record can no longer be read, and there is none before it: a copy of the disk on which it is so. */
  damaged(key: string, known: IdSet): VirtualDisk {
    const damaged = this.without(key, known);
    damaged.unreadable.add(key);
    return damaged;
  }

  /** A copy on which the record is not, and nothing says that it ever was. */
  without(key: string, known: IdSet): VirtualDisk {
    const copy = this.copy(new StoreFacts(this.facts.region, known));
    copy.records.delete(key);
    for (const { record } of copy.records.values())
      for (const { hlc } of record.entry?.versions ?? []) copy.facts.took(hlc, false);
    return copy;
  }

  copy(facts = this.facts.copy()): VirtualDisk {
    const copy = new VirtualDisk(facts);
    for (const [key, record] of this.records) copy.records.set(key, record);
    for (const key of this.unreadable) copy.unreadable.add(key);
    copy.hadLog = this.hadLog;
    copy.#sequence = this.#sequence;
    return copy;
  }
}

export function emptyDisk(region: string, hadLog: boolean): VirtualDisk {
  const disk = new VirtualDisk(new StoreFacts(region));
  disk.hadLog = hadLog;
  return disk;
}
