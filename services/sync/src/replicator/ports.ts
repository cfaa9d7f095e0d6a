import type {
  Cause,
  Delta,
  FetchAnswer,
  FetchRequest,
  Head,
  LogRecord,
  StoredRecord,
} from '../replication/protocol.ts';
import type { ReadableLog } from '../replication/state-log.ts';

/** The region's durable log: the last record of every key. */
export interface StateLog {
  /** @throws Failure UNAVAILABLE, to be tried again. */
  recover(): Promise<LogContent>;
  /**
   * Whether it is still the log that was recovered. The other methods ask that themselves before they change anything.
   * @throws Failure FAILED_PRECONDITION / LOG_REPLACED when its store was lost; UNAVAILABLE, to be tried again.
   */
  verify(): Promise<void>;
  /**
   * Stores the record if the key's last message is the expected one. Sending it again with the same id is harmless.
   * @throws Failure ABORTED / WRONG_SEQUENCE, FAILED_PRECONDITION / LOG_REPLACED; any retryable one leaves open whether it
   *   was stored.
   */
  append(record: LogRecord, options: AppendOptions): Promise<Appended>;
  /**
   * Stores all, directly behind each other, with one receipt. For ids that were never sent before.
   * @throws Failure, which leaves open which of the first were stored: then each is appended by itself, with its id.
   */
  appendRun(
    appends: readonly { readonly record: LogRecord; readonly options: AppendOptions }[],
  ): Promise<readonly Appended[]>;
  /** Removes the key's messages up to the sequence. @throws Failure UNAVAILABLE, to be tried again. */
  forget(key: string, sequence: number): Promise<void>;
  /** Removes everything: the region begins anew. @throws Failure UNAVAILABLE, to be tried again. */
  clear(): Promise<void>;
  /** @throws Failure DATA_LOSS when it cannot be read. */
  last(key: string): Promise<StoredRecord | undefined>;
}

export interface LogContent extends ReadableLog {
  /** Of the store: one that was lost and made anew has another. */
  readonly identity: string;
}

export interface AppendOptions {
  readonly expectedSequence: number;
  /** Unique for each record of each life of the process. */
  readonly messageId: string;
  readonly cause: Cause | undefined;
}

export interface Appended {
  readonly sequence: number;
  /** The event that it became, as a cause of what follows. */
  readonly event: Cause;
}

export interface Fetched {
  readonly answer: FetchAnswer;
  readonly cause: Cause;
  /** From the end of this round to the next one with that peer, as its link is. */
  readonly intervalMs: number;
}

export interface Peers {
  /** One page. @throws Failure when the peer cannot be reached, or its answer is not valid. */
  fetch(peer: string, request: FetchRequest): Promise<Fetched>;
  /** At most once: what is lost is found missing by the next delta or fetch. */
  publish(delta: Delta, causes: readonly Cause[]): void;
  publishHead(head: Head): void;
}

/** Beside the log, on another disk if there is one: which log it was that had all of the region's records. */
export interface LogMarker {
  /** Undefined: there was none. Empty: one whose identity was not noted, by a release before. */
  get(): Promise<string | undefined>;
  set(identity: string): Promise<void>;
}
