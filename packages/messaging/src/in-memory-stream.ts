import type { StreamRow } from '@meridian/contracts';
import type { Clock } from '@meridian/runtime';
import { streamFull, tooLarge, wrongSequence } from './durable-publish.ts';
import type { PublishDurableOptions, StreamState } from './message-bus.ts';
import { subjectMatches } from './subject-match.ts';

/** An event as it is stored: what would be on the wire. */
export interface StoredEntry {
  readonly sequence: number;
  readonly subject: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly data: Uint8Array;
  readonly bytes: number;
  readonly storedMs: number;
}

export type NewEntry = Pick<StoredEntry, 'subject' | 'headers' | 'data'>;

export interface AppendOptions extends PublishDurableOptions {
  /** Only directly behind the message with this id. */
  readonly behindMessageId?: string | undefined;
}

/** What nats-server's file store adds to a message. */
const ENTRY_OVERHEAD_BYTES = 30;

/**
 * One stream of the table, in memory, with the limits and checks of the real one.
 *
 * 1. Sequences rise by one for every stored entry, and are never used again.
 * 2. `#bytes` is the sum over `#entries`; `#last` names the last entry of each subject that has one.
 */
export class InMemoryStream {
  readonly row: StreamRow;
  readonly #clock: Clock;
  readonly #entries = new Map<number, StoredEntry>();
  readonly #last = new Map<string, number>();
  readonly #messageIds = new Map<string, { readonly sequence: number; readonly untilMs: number }>();
  readonly #appendListeners = new Set<(entry: StoredEntry) => void>();
  #bytes = 0;
  #lastSequence = 0;
  #lastMessageId: string | undefined;

  constructor(row: StreamRow, clock: Clock) {
    this.row = row;
    this.#clock = clock;
  }

  onAppend(listener: (entry: StoredEntry) => void): void {
    this.#appendListeners.add(listener);
  }

  /** @throws Failure as `MessageBus.publishDurable` says */
  append(entry: NewEntry, options: AppendOptions): { sequence: number; duplicate: boolean } {
    this.#expire();
    const known = options.messageId === undefined ? undefined : this.#messageIds.get(options.messageId);
    if (known !== undefined) return { sequence: known.sequence, duplicate: true };
    const bytes = entryBytes(entry);
    if (bytes - ENTRY_OVERHEAD_BYTES - entry.subject.length > this.row.messageBytesMax) throw tooLarge(entry.subject);
    const expected = options.expectedLastSubjectSequence;
    const last = this.#last.get(entry.subject) ?? 0;
    if (expected !== undefined && expected !== last) throw wrongSequence(entry.subject, expected, String(last));
    if (options.behindMessageId !== undefined && options.behindMessageId !== this.#lastMessageId)
      throw wrongSequence(entry.subject, undefined, String(this.#lastSequence));
    this.#makeRoom(entry.subject, bytes);
    const stored = { ...entry, bytes, sequence: ++this.#lastSequence, storedMs: this.#clock.nowMs() };
    this.#store(stored, options.messageId);
    return { sequence: stored.sequence, duplicate: false };
  }

  get(sequence: number): StoredEntry | undefined {
    return this.#entries.get(sequence);
  }

  lastOf(subject: string): StoredEntry | undefined {
    this.#expire();
    return this.#entries.get(this.#last.get(subject) ?? 0);
  }

  /** The last entry of every subject that matches, in order of sequence. */
  lastEntries(filter: string): StoredEntry[] {
    return this.allEntries(filter).filter((entry) => this.#last.get(entry.subject) === entry.sequence);
  }

  /** Every entry that matches, in order of sequence. */
  allEntries(filter: string): StoredEntry[] {
    this.#expire();
    return Array.from(this.#entries.values()).filter((entry) => subjectMatches(filter, entry.subject));
  }

  /** The first entry after a sequence that matches. */
  nextAfter(sequence: number, filter: string): StoredEntry | undefined {
    for (let next = sequence + 1; next <= this.#lastSequence; next++) {
      const entry = this.#entries.get(next);
      if (entry !== undefined && subjectMatches(filter, entry.subject)) return entry;
    }
    return undefined;
  }

  countAfter(sequence: number, filter: string): number {
    let count = 0;
    for (const entry of this.#entries.values())
      if (entry.sequence > sequence && subjectMatches(filter, entry.subject)) count++;
    return count;
  }

  delete(sequence: number): void {
    const entry = this.#entries.get(sequence);
    if (entry === undefined) return;
    this.#entries.delete(sequence);
    this.#bytes -= entry.bytes;
    if (this.#last.get(entry.subject) === sequence) this.#forgetLast(entry.subject);
  }

  purge(filter: string, untilSequence = this.#lastSequence): number {
    const gone = Array.from(this.#entries.values()).filter(
      ({ subject, sequence }) => sequence <= untilSequence && subjectMatches(filter, subject),
    );
    for (const entry of gone) this.delete(entry.sequence);
    return gone.length;
  }

  get state(): StreamState {
    this.#expire();
    return { messages: this.#entries.size, bytes: this.#bytes, lastSequence: this.#lastSequence };
  }

  #store(entry: StoredEntry, messageId: string | undefined): void {
    this.#dropOldest(entry.subject);
    this.#entries.set(entry.sequence, entry);
    this.#last.set(entry.subject, entry.sequence);
    this.#bytes += entry.bytes;
    this.#lastMessageId = messageId;
    if (messageId !== undefined)
      this.#messageIds.set(messageId, {
        sequence: entry.sequence,
        untilMs: this.#clock.nowMs() + this.row.duplicateWindowMs,
      });
    for (const listener of this.#appendListeners) listener(entry);
  }

  /** Makes room for one more of the subject. */
  #dropOldest(subject: string): void {
    const max = this.row.messagesPerSubjectMax;
    const last = this.#last.get(subject);
    if (max === undefined || last === undefined) return;
    // A scan is too slow for the log of a large state.
    const [oldest, ...others] = max === 1 ? [this.#entries.get(last)] : this.allEntries(subject);
    if (oldest !== undefined && others.length + 1 >= max) this.delete(oldest.sequence);
  }

  /** @throws Failure RESOURCE_EXHAUSTED / STREAM_FULL */
  #makeRoom(subject: string, bytes: number): void {
    const replaced = this.row.messagesPerSubjectMax === 1 ? (this.lastOf(subject)?.bytes ?? 0) : 0;
    const excess = (): boolean => this.#bytes - replaced + bytes > this.row.bytesMax;
    if (this.row.discard === 'new') {
      if (excess()) throw streamFull(subject, 'maximum bytes exceeded');
      return;
    }
    for (const sequence of this.#entries.keys()) {
      if (!excess()) return;
      this.delete(sequence);
    }
  }

  #forgetLast(subject: string): void {
    this.#last.delete(subject);
    if (this.row.messagesPerSubjectMax === 1) return;
    for (const entry of this.#entries.values()) if (entry.subject === subject) this.#last.set(subject, entry.sequence);
  }

  #expire(): void {
    const nowMs = this.#clock.nowMs();
    for (const [id, { untilMs }] of this.#messageIds) {
      if (untilMs > nowMs) break;
      this.#messageIds.delete(id);
    }
    const ageMaxMs = this.row.ageMaxMs;
    if (ageMaxMs === undefined) return;
    for (const entry of this.#entries.values()) {
      if (entry.storedMs + ageMaxMs > nowMs) return;
      this.delete(entry.sequence);
    }
  }
}

function entryBytes(entry: NewEntry): number {
  let bytes = ENTRY_OVERHEAD_BYTES + entry.subject.length + entry.data.length;
  for (const [name, value] of entry.headers) bytes += name.length + value.length + 4;
  return bytes;
}
