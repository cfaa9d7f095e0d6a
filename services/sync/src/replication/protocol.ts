import type { VersionVector } from '@meridian/causality';
import type { Failure } from '@meridian/failure';
import type { Entry } from '@meridian/replica';
import type { Lineage } from './node-clock.ts';

/** One record of the state log: the whole entry of a key, who wrote, and the clock that held. */
export interface LogRecord {
  readonly entry: Entry;
  readonly lineage: Lineage;
  readonly clock: VersionVector;
}

export interface StoredRecord {
  readonly record: LogRecord;
  /** Of the key's last message in the log. */
  readonly sequence: number;
}

/** New own events, pushed to all. `from` and `to`: the origin's clock before and after. */
export interface Delta {
  readonly entries: readonly Entry[];
  readonly from: VersionVector;
  readonly to: VersionVector;
}

/** Asks for the entries that the vector does not cover, from the key after `afterKey` on. */
export interface FetchRequest {
  readonly region: string;
  readonly vector: VersionVector;
  readonly afterKey: string;
  readonly bytesMax: number;
}

export interface FetchAnswer {
  readonly entries: readonly Entry[];
  /** The answerer's clock. */
  readonly vector: VersionVector;
  /** '' when nothing is left. */
  readonly nextKey: string;
}

/** A local write. */
export interface Change {
  readonly key: string;
  /** Undefined deletes. */
  readonly value: Uint8Array | undefined;
  /** `differs`: only if readers do not see this value already. `absent`: only if nothing was ever known of the key. */
  readonly when: 'differs' | 'absent';
  /** What the writer saw, if not what is here: other versions stay beside the new one. */
  readonly seen?: VersionVector;
  /** Who writes, for people who look at a conflict. */
  readonly author?: string;
}

export interface Written {
  /** False: the value was there already, and nothing was written. */
  readonly changed: boolean;
  /** The region's clock: it covers the value. */
  readonly vector: VersionVector;
}

/** The event that led to an input: its id, and what its emitter had seen. Carried along, not looked at. */
export interface Cause {
  readonly id: string;
  readonly vector: VersionVector;
}

/** What happens to the state machine. Ids are the driver's, unique among what is under way. */
export type Input =
  | { readonly kind: 'write'; readonly id: number; readonly change: Change; readonly cause?: Cause }
  | { readonly kind: 'appended'; readonly id: number; readonly sequence: number }
  | { readonly kind: 'delta'; readonly origin: string; readonly delta: Delta; readonly cause?: Cause }
  | { readonly kind: 'asked'; readonly id: number; readonly request: FetchRequest }
  | { readonly kind: 'fetched'; readonly peer: string; readonly answer: FetchAnswer; readonly cause?: Cause }
  | { readonly kind: 'fetch-failed'; readonly peer: string }
  /** The links may be back: ask everyone now. */
  | { readonly kind: 'connected' }
  | { readonly kind: 'tick' };

export interface Append {
  readonly id: number;
  readonly record: LogRecord;
  /** Compare-and-set: the sequence of the key's last message, 0 for none. */
  readonly expectedSequence: number;
  /** The write that it comes from; undefined for what a peer wrote. */
  readonly write?: number;
  readonly cause?: Cause;
}

export type Event = 'gap' | 'delta-applied' | 'delta-known' | 'fetch-started' | 'fetch-completed' | 'fetch-failed';

export type AlarmReason =
  /** Somebody knows more of our own actor than our log does. */
  'FORKED' | 'DOT_REUSED' | 'FAR_FUTURE' | 'VECTOR_FULL' | 'ENTRY_TOO_LARGE' | 'STATE_FULL';

/** What the driver has to do. */
export type Output =
  /** Persist it, retry until it is stored, then say `appended`. Several may be under way. */
  | ({ readonly kind: 'append' } & Append)
  | { readonly kind: 'publish'; readonly delta: Delta; readonly writes: readonly number[] }
  | { readonly kind: 'fetch'; readonly peer: string; readonly request: FetchRequest }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: FetchAnswer }
  | { readonly kind: 'written'; readonly id: number; readonly written: Written }
  | { readonly kind: 'refused'; readonly id: number; readonly failure: Failure }
  /** Entries of these keys, or (no keys) only the vector, are new to readers. */
  | { readonly kind: 'changed'; readonly keys: readonly string[] }
  | { readonly kind: 'event'; readonly event: Event; readonly peer: string }
  | { readonly kind: 'alarm'; readonly reason: AlarmReason; readonly peer: string; readonly detail: string };

/** The time at a step. */
export interface Now {
  readonly wallMs: number;
  readonly monotonicMs: number;
}
