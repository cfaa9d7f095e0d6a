import type { VersionVector } from '@meridian/causality';
import { Failure } from '@meridian/failure';
import { type Entry, hasRecord, type RequiredRecord } from '@meridian/replica';
import { backoffMs, type Clock, type Random, type Timer } from '@meridian/runtime';

/** What the waits look at: the region's state. */
export interface AwaitableState {
  readonly vector: VersionVector;
  get(key: string): Entry | undefined;
  /** @returns a function that removes the listener */
  onChange(listener: () => void): () => void;
}

/** Brings the entries of these keys from a region, sooner than anti-entropy would. Returns at once, fails silently. */
export type FetchKeys = (region: string, keys: readonly string[]) => void;

export interface AwaitedRecordsOptions {
  readonly state: AwaitableState;
  readonly fetchKeys: FetchKeys;
  /** Whether the region can be asked. */
  readonly isMember: (region: string) => boolean;
  readonly clock: Clock;
  readonly random: Random;
}

/** Callers are the region's schedulers and workers, which ask once for all claims that lack the same records. */
export const AWAITS_MAX = 256;
export const AWAIT_TIMEOUT_MAX_MS = 60_000;
/** While a record is missing its region is asked again: the question or its answer may be lost, or the link cut. */
const ASK_AGAIN = { initialMs: 250, maxMs: 2_000 };

interface Wait {
  readonly records: readonly RequiredRecord[];
  readonly from: string;
  readonly end: () => void;
}

/** Keys that are wanted from one region. */
interface Asking {
  readonly keys: Set<string>;
  attempt: number;
  timer: Timer;
}

/**
 * Waits for records that someone in this region was told of and that replication has not brought yet.
 *
 * 1. A wait ends by its records alone: neither what else their authors wrote nor any other region can hold it up.
 * 2. Their region is asked at once, and again while a wait for it is open, however many waits there are.
 * 3. A wait that has ended, whatever ended it, leaves nothing behind.
 */
export class AwaitedRecords {
  readonly #o: AwaitedRecordsOptions;
  readonly #waits = new Set<Wait>();
  readonly #asking = new Map<string, Asking>();
  #unlisten: (() => void) | undefined;

  constructor(options: AwaitedRecordsOptions) {
    this.#o = options;
  }

  /**
   * @param from the region that has them; one that is no member is not asked
   * @returns what is still missing when the time is over or the signal aborts
   * @throws Failure RESOURCE_EXHAUSTED / TOO_MANY_WAITERS. Retryable.
   */
  async wait(
    records: readonly RequiredRecord[],
    from: string,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<readonly RequiredRecord[]> {
    if (this.#missing(records).length === 0 || signal.aborted) return this.#missing(records);
    if (this.#waits.size >= AWAITS_MAX)
      throw new Failure('RESOURCE_EXHAUSTED', 'too many callers wait for records', { reason: 'TOO_MANY_WAITERS' });
    const ended = Promise.withResolvers<void>();
    const wait: Wait = { records, from, end: ended.resolve };
    const timer = this.#o.clock.setTimer(Math.min(timeoutMs, AWAIT_TIMEOUT_MAX_MS), wait.end);
    signal.addEventListener('abort', wait.end, { once: true });
    this.#waits.add(wait);
    this.#unlisten ??= this.#o.state.onChange(() => this.#look());
    this.#ask(wait);
    await ended.promise;
    timer.cancel();
    signal.removeEventListener('abort', wait.end);
    this.#leave(wait);
    return this.#missing(records);
  }

  #missing(records: readonly RequiredRecord[]): readonly RequiredRecord[] {
    const { state } = this.#o;
    return records.filter((record) => !hasRecord(record, state.get(record.key), state.vector));
  }

  #look(): void {
    for (const { records, end } of this.#waits) if (this.#missing(records).length === 0) end();
  }

  #leave(wait: Wait): void {
    this.#waits.delete(wait);
    const { from } = wait;
    if (![...this.#waits].some((other) => other.from === from)) {
      this.#asking.get(from)?.timer.cancel();
      this.#asking.delete(from);
    }
    if (this.#waits.size > 0) return;
    this.#unlisten?.();
    this.#unlisten = undefined;
  }

  /** Asks for what is not being asked for already. */
  #ask({ records, from }: Wait): void {
    if (!this.#o.isMember(from)) return;
    const known = this.#asking.get(from);
    const keys = this.#missing(records).map(({ key }) => key);
    const more = keys.filter((key) => known?.keys.has(key) !== true);
    if (more.length === 0) return;
    if (known === undefined)
      this.#asking.set(from, { keys: new Set(keys), attempt: 0, timer: this.#askLater(from, 0) });
    else for (const key of more) known.keys.add(key);
    this.#o.fetchKeys(from, more);
  }

  #askLater(from: string, attempt: number): Timer {
    const { clock, random } = this.#o;
    return clock.setTimer(backoffMs(attempt, ASK_AGAIN, random), () => this.#askAgain(from));
  }

  #askAgain(from: string): void {
    const asking = this.#asking.get(from);
    if (asking === undefined) return;
    asking.keys.clear();
    for (const wait of this.#waits)
      if (wait.from === from) for (const { key } of this.#missing(wait.records)) asking.keys.add(key);
    asking.attempt += 1;
    asking.timer = this.#askLater(from, asking.attempt);
    this.#o.fetchKeys(from, [...asking.keys]);
  }
}
