import type { PriorityClassName } from '@meridian/contracts';
import { assert } from '@meridian/failure';
import type { RequiredRecord } from '@meridian/replica';
import type { AskedRules } from '../placement/residency.ts';
import type { Cause } from '../tasks/task.ts';
import { CommitOrder, type Committed } from './commit-order.ts';

export type JobPhase = 'running' | 'cancelling' | 'finished' | 'cancelled';

export interface JobFacts {
  readonly jobId: string;
  readonly tenant: string;
  readonly priority: PriorityClassName;
  readonly model: string;
  readonly modelDigest: string;
  readonly acceptedMs: number;
  readonly deadlineMs: number;
  /** Hexadecimal fingerprint of the header. */
  readonly headerDigest: string;
  readonly requires: readonly RequiredRecord[];
  readonly asked: AskedRules;
}

/** The pictures of a job in arrays: 10,000 of them are half a megabyte. */
export interface JobPictures {
  /** 32 bytes each, one after the other. */
  readonly digests: Uint8Array;
  readonly sizes: Uint32Array;
}

/** The job's last record in the stream. */
export interface RecordRef {
  readonly sequence: number;
  readonly cause: Cause;
}

/**
 * What the owner keeps in memory of an accepted job. Results stay in the stream; here is only where.
 *
 * 1. An index is final once, and its result has one sequence for ever.
 * 2. `resultsAfter` shows results in rising order of sequence without holes (see CommitOrder).
 * 3. A job ends once: finished when every index is final, or cancelled.
 */
export class Job {
  readonly facts: JobFacts;
  readonly pictures: JobPictures;
  readonly #sequences: Float64Array;
  readonly #shown: Committed[] = [];
  readonly #order = new CommitOrder();
  readonly #listeners = new Set<() => void>();
  readonly deadLetters: string[] = [];
  record: RecordRef;
  /** The event that said the job was accepted, when this process published it. */
  acceptedEvent: Cause | undefined;
  /** The record of the result that became final last. */
  lastResult: Cause | undefined;
  #phase: JobPhase = 'running';
  #succeeded = 0;
  #failed = 0;
  #finalMs = 0;
  #endedMs = 0;
  purgeAfterMs = Number.POSITIVE_INFINITY;

  constructor(facts: JobFacts, pictures: JobPictures, record: RecordRef) {
    assert(pictures.digests.length === pictures.sizes.length * 32, 'a digest for every size');
    this.facts = facts;
    this.pictures = pictures;
    this.record = record;
    this.#sequences = new Float64Array(pictures.sizes.length);
  }

  get tasks(): number {
    return this.pictures.sizes.length;
  }

  get succeeded(): number {
    return this.#succeeded;
  }

  get failed(): number {
    return this.#failed;
  }

  get phase(): JobPhase {
    return this.#phase;
  }

  get endedMs(): number {
    return this.#endedMs;
  }

  /** When the last result became final. */
  get finalMs(): number {
    return this.#finalMs;
  }

  get isOver(): boolean {
    return this.#phase === 'finished' || this.#phase === 'cancelled';
  }

  /** Every index is final and can be seen. */
  get isComplete(): boolean {
    return this.#succeeded + this.#failed === this.tasks && this.#order.idle;
  }

  /** No result is being written. */
  get isQuiet(): boolean {
    return this.#order.idle;
  }

  digestOf(index: number): Uint8Array {
    return this.pictures.digests.subarray(index * 32, index * 32 + 32);
  }

  isFinal(index: number): boolean {
    return (this.#sequences[index] ?? 0) > 0;
  }

  *openIndexes(): Iterable<number> {
    for (const [index, sequence] of this.#sequences.entries()) if (sequence === 0) yield index;
  }

  /** A result is being written. @returns the write's number, for `final`. */
  beginWrite(): number {
    return this.#order.begin();
  }

  /** The result of an index is in the stream at `sequence`. */
  final(write: number, committed: Committed, succeeded: boolean, atMs: number): void {
    const again = this.isFinal(committed.index);
    const shown = again ? this.#order.abandon(write) : this.#order.end(write, committed);
    if (!again) {
      this.#sequences[committed.index] = committed.sequence;
      if (succeeded) this.#succeeded++;
      else this.#failed++;
      this.#finalMs = Math.max(this.#finalMs, atMs);
    }
    this.#shown.push(...shown);
    this.#notify();
  }

  /** At most `max` results with a sequence above the cursor, in order. */
  resultsAfter(cursor: number, max: number): readonly Committed[] {
    let low = 0;
    let high = this.#shown.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#shown[middle]?.sequence ?? 0) > cursor) high = middle;
      else low = middle + 1;
    }
    return this.#shown.slice(low, low + max);
  }

  beginCancel(): void {
    assert(this.#phase === 'running', `a job is cancelled while it runs, this one is ${this.#phase}`);
    this.#phase = 'cancelling';
  }

  end(phase: 'finished' | 'cancelled', atMs: number): void {
    assert(!this.isOver, 'a job ends once');
    this.#phase = phase;
    this.#endedMs = atMs;
    this.#notify();
  }

  /** Called after every change that a watcher can see. @returns a function that removes the listener. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}
