import type { ActorId, Timestamp, VersionVector } from '@meridian/causality';
import type { Failure } from '@meridian/failure';
import type { Entry } from '@meridian/replica';

/** As whom this life of the process writes: its actor, and the counter of that actor's last durable event. */
export interface Lineage {
  /** Undefined before the first own event. */
  readonly actor: ActorId | undefined;
  readonly counter: number;
}

/** What a region must not forget beside its entries. */
export interface Meta {
  /** Dots of deletions that were collected: who lacks one of them is answered with whole ranges. */
  readonly collected: VersionVector;
  /** Membership under which this region joined; 0 from the start. Goes up when it is added again. */
  readonly generation: number;
  /**
   * Records up to this sequence say nothing of the clock: one of them could not be read once, and what has replaced it
   * since does not bring back what it held. 0: none.
   */
  readonly distrustedUntil: number;
  /** Of the log: one whose store was lost and made anew has another. */
  readonly identity?: string;
}

/** Own records that were written together: they count if all of them are there. */
export interface Group {
  readonly size: number;
  /** The last counter among them. */
  readonly last: number;
  /** What the key had before, with a context like that of the record's entry. Undefined: too large to be kept. */
  readonly before: Entry | undefined;
}

/** One record of the state log: the last of its key counts. */
export interface LogRecord {
  /** A key of the state, or {@link META_KEY}. */
  readonly key: string;
  /** Exactly one of the two. The context of an entry holds only what `clock` does not. */
  readonly entry?: Entry;
  readonly meta?: Meta;
  readonly lineage: Lineage;
  /** The clock that held, the record's own event aside. */
  readonly clock: VersionVector;
  /** Highest timestamp given out or taken in so far: the versions that had it may leave the log. */
  readonly last: Timestamp;
  /** Undefined: it stands for itself. */
  readonly group?: Group;
}

/** No key of the state begins with `~`. */
export const META_KEY = '~meta';

export interface StoredRecord {
  readonly record: LogRecord;
  /** Of the key's last message in the log. */
  readonly sequence: number;
}

/** New own events, pushed to all. `from`: own events before them; `to`: the origin's clock after them, and the entries' context. */
export interface Delta {
  readonly generation: number;
  readonly entries: readonly Entry[];
  readonly from: VersionVector;
  readonly to: VersionVector;
  /**
   * Lists of ended lives that the contexts leave to the reader. All members are known to have them; a second process of a
   * member, or one whose log went back, may not.
   */
  readonly lists: VersionVector;
  /** Deletions that the origin has dropped and that the writes had not seen: one that an entry lacks was not written over. */
  readonly forgotten: VersionVector;
}

/** Heartbeat. */
export interface Head {
  readonly vector: VersionVector;
  /** Of the process: two that alternate are a clone. */
  readonly life: string;
  /** As whom it writes; undefined before its first event. */
  readonly actor: ActorId | undefined;
  /** Rises within a life. */
  readonly sequence: number;
  readonly generation: number;
  /** By the sender's wall clock; 0 while it may lack what it had acknowledged itself. */
  readonly sentAtMs: number;
  /** Canonical, of the whole state; '' while it holds more than its vector says. */
  readonly digest: string;
  readonly isRecovering: boolean;
  /** t_j and v_j, see {@link RegionSyncStatus}. */
  readonly knownUntilMs: number;
  readonly rounds: number;
  readonly lastFetchAtMs: number;
  readonly conflicts: number;
}

/** Keys of one request for single keys. */
export const KEYS_ASKED_MAX = 64;

/** Asks for the entries that the vector does not cover, from the key after `afterKey` on; or, with `keys`, for those. */
export interface FetchRequest {
  readonly region: string;
  readonly generation: number;
  readonly vector: VersionVector;
  readonly afterKey: string;
  readonly bytesMax: number;
  /** Only these, whatever the vector covers. Empty: a round. */
  readonly keys: readonly string[];
  /** Everything, whatever the vector covers: the two have equal vectors and different digests. */
  readonly isRepair: boolean;
  /** The asker knows that it was removed, and waits to be added again. */
  readonly isAway: boolean;
}

export interface FetchAnswer {
  readonly generation: number;
  readonly entries: readonly Entry[];
  /** The answerer's clock, and the context of the entries. */
  readonly vector: VersionVector;
  /** '' when nothing is left. */
  readonly nextKey: string;
  /** All keys of the range are in it: a key that is absent here has no version that `vector` covers. */
  readonly isWholeRange: boolean;
  /** Deletions that the answerer has dropped, as far as `vector` covers them. */
  readonly collected: VersionVector;
  /** The asker is not a member, or under an older membership: there is nothing but the entry that says so. */
  readonly isRefused: boolean;
  /** The answerer lost its log, and has not got it back: that it lacks something says nothing. */
  readonly isRecovering: boolean;
  /** Lives of the asker's log of which the answerer has heard lately: others than its own are of a clone, or just over. */
  readonly heardActors: readonly ActorId[];
  /** As in a head. */
  readonly sentAtMs: number;
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

/** What happens to the state machine. Ids are the driver's, positive, unique among what is under way. */
export type Input =
  | { readonly kind: 'write'; readonly id: number; readonly change: Change; readonly cause?: Cause }
  /** Takes a region out of the membership, or into it (again). Answered like a write. */
  | {
      readonly kind: 'member';
      readonly id: number;
      readonly region: string;
      readonly action: 'add' | 'remove';
      readonly author?: string;
      readonly cause?: Cause;
    }
  | { readonly kind: 'appended'; readonly id: number; readonly sequence: number }
  | { readonly kind: 'forgotten'; readonly id: number }
  | { readonly kind: 'delta'; readonly origin: string; readonly delta: Delta; readonly cause?: Cause }
  | { readonly kind: 'head'; readonly origin: string; readonly head: Head }
  | { readonly kind: 'asked'; readonly id: number; readonly request: FetchRequest }
  | {
      readonly kind: 'fetched';
      readonly peer: string;
      readonly request: FetchRequest;
      readonly answer: FetchAnswer;
      readonly cause?: Cause;
      /** From the end of this round to the next one. Undefined: as it was, at first as configured. */
      readonly intervalMs?: number;
    }
  | { readonly kind: 'fetch-failed'; readonly peer: string; readonly request: FetchRequest }
  /** Something that this region needs at once: these keys from that peer; without keys a round. */
  | { readonly kind: 'want'; readonly peer: string; readonly keys: readonly string[] }
  /** The links may be back: ask everyone now. */
  | { readonly kind: 'connected' }
  | { readonly kind: 'tick' };

export interface Append {
  readonly id: number;
  readonly record: LogRecord;
  /** Compare-and-set: the sequence of the key's last message, 0 for none. */
  readonly expectedSequence: number;
  /** The write that it comes from; undefined for what a peer or the machine itself wrote. */
  readonly write?: number;
  readonly cause?: Cause;
}

export type Event =
  | 'gap'
  | 'delta-applied'
  | 'delta-known'
  | 'fetch-started'
  | 'fetch-completed'
  | 'fetch-failed'
  /** A version from the future waits at its peer until its time has come. */
  | 'held'
  | 'epoch-opened'
  | 'collected'
  | 'digest-repaired';

export type AlarmReason =
  /** Two processes with separate logs claim to be the same region. */
  | 'CLONED'
  /** A peer had seen this region further than its log goes: it was restored from an older state. */
  | 'WENT_BACK'
  | 'DOT_REUSED'
  | 'FAR_FUTURE'
  | 'VECTOR_FULL'
  | 'ENTRY_TOO_LARGE'
  | 'STATE_FULL'
  /** An event of a region that is no member, or after its seal. */
  | 'NOT_A_MEMBER'
  /** Equal vectors with different states. */
  | 'DIGEST_DIFFERS'
  /** This region was taken out: what only it had written since is not taken over. */
  | 'REMOVED';

/** What the driver has to do. */
export type Output =
  /** Persist it, retry until it is stored, then say `appended`. Several may be under way. */
  | ({ readonly kind: 'append' } & Append)
  /** Remove the key's messages up to this sequence from the log, retry until done, then say `forgotten`. */
  | { readonly kind: 'forget'; readonly id: number; readonly key: string; readonly sequence: number }
  | { readonly kind: 'publish'; readonly delta: Delta; readonly writes: readonly number[] }
  | { readonly kind: 'head'; readonly head: Head }
  | { readonly kind: 'fetch'; readonly peer: string; readonly request: FetchRequest }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: FetchAnswer }
  | { readonly kind: 'written'; readonly id: number; readonly written: Written }
  | { readonly kind: 'refused'; readonly id: number; readonly failure: Failure }
  /** Entries of these keys, or (no keys) only the vector, are new to readers. */
  | { readonly kind: 'changed'; readonly keys: readonly string[] }
  /**
   * Added again under this generation: the log is to be emptied, and a new machine started on a log that holds nothing
   * but a meta record with the generation. No input may follow.
   */
  | { readonly kind: 'wipe'; readonly generation: number }
  | { readonly kind: 'event'; readonly event: Event; readonly peer: string }
  | { readonly kind: 'alarm'; readonly reason: AlarmReason; readonly peer: string; readonly detail: string };

/** The time at a step. */
export interface Now {
  readonly wallMs: number;
  readonly monotonicMs: number;
}
