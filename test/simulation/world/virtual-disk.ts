import type { Append, StoredRecord } from '../../../services/sync/src/replication/protocol.ts';
import { StoreFacts } from '../oracle/store-facts.ts';
import { Violation } from '../violation.ts';

/** A region's log: the last record of each key, appended by compare-and-set. */
export class VirtualDisk {
  readonly records = new Map<string, StoredRecord>();
  /** Keys of which the last record cannot be read, with its sequence: a torn one on top, or there is none before it. */
  readonly unreadable = new Map<string, number>();
  /** The region's folder, not the log, says so. */
  hadLog = false;
  /** Nor is this the log that the folder knows: until all is back, however much is here. */
  isReplaced = false;
  readonly facts: StoreFacts;
  #sequence = 0;

  constructor(facts: StoreFacts) {
    this.facts = facts;
  }

  /** @returns the record's sequence */
  append(append: Append): number {
    const { record, expectedSequence } = append;
    const found = this.#lastOf(record.key);
    if (found !== expectedSequence)
      throw new Violation('S6', `${record.key}: appended on top of ${expectedSequence}, and ${found} is there`);
    this.records.set(record.key, { record, sequence: ++this.#sequence });
    this.unreadable.delete(record.key);
    this.hadLog = true;
    return this.#sequence;
  }

  tear(key: string): void {
    this.unreadable.set(key, ++this.#sequence);
  }

  forget(key: string, sequence: number): StoredRecord | undefined {
    const found = this.records.get(key);
    if (found === undefined || found.sequence > sequence) return undefined;
    this.records.delete(key);
    return found;
  }

  /** The record can no longer be read, and there is none before it: a copy of the disk on which it is so. */
  damaged(key: string, facts: StoreFacts): VirtualDisk {
    const damaged = this.without(key, facts);
    damaged.unreadable.set(key, this.#lastOf(key));
    return damaged;
  }

  /** A copy on which the record is not, and nothing says that it ever was. */
  without(key: string, facts: StoreFacts): VirtualDisk {
    const copy = this.copy(facts);
    copy.records.delete(key);
    for (const { record } of copy.records.values())
      for (const { hlc } of record.entry?.versions ?? []) copy.facts.took(hlc, false);
    return copy;
  }

  copy(facts = this.facts.copy()): VirtualDisk {
    const copy = new VirtualDisk(facts);
    for (const [key, record] of this.records) copy.records.set(key, record);
    for (const [key, sequence] of this.unreadable) copy.unreadable.set(key, sequence);
    copy.hadLog = this.hadLog;
    copy.isReplaced = this.isReplaced;
    copy.#sequence = this.#sequence;
    return copy;
  }

  #lastOf(key: string): number {
    return this.unreadable.get(key) ?? this.records.get(key)?.sequence ?? 0;
  }
}

export function emptyDisk(region: string, hadLog: boolean): VirtualDisk {
  const disk = new VirtualDisk(new StoreFacts(region));
  disk.hadLog = hadLog;
  disk.isReplaced = hadLog;
  return disk;
}
