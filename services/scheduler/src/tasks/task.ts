import type { VersionVector } from '@meridian/causality';
import type { PriorityClassName } from '@meridian/contracts';
import type { Recognition } from '@meridian/contracts/recognition';
import type { Code } from '@meridian/failure';
import type { RequiredRecord } from '@meridian/replica';
import type { AskedRules } from '../placement/residency.ts';

/** The event that led to something. */
export interface Cause {
  readonly id: string;
  readonly vector: VersionVector;
}

/** What all tasks of one job share; a unary call is a work of one task. */
export interface Work {
  /** Job id, or the task's own id for a call. */
  readonly key: string;
  /** Empty for a call: calls are not durable and have no public events. */
  readonly jobId: string;
  readonly tenant: string;
  readonly priority: PriorityClassName;
  readonly model: string;
  readonly modelDigest: string;
  /** Records of model and tenant that the work was accepted with. An attempt has the tenant's of its own placement. */
  readonly requires: readonly RequiredRecord[];
  /** What led to the work: the job's record, or the event that the caller of a call named. */
  readonly causes: readonly Cause[];
  /** Residency rules of the work itself: the tenant's is looked up anew for each placement. */
  readonly asked: AskedRules;
  readonly acceptedMs: number;
  /** Absolute wall time; no attempt starts after it. */
  readonly deadlineMs: number;
  /** Processing time of one picture on the reference worker, until measured. */
  readonly expectedServiceMs: number;
  /** Equal for works whose tasks can be placed in the same regions at the same time. */
  readonly placementKey: string;
}

export function newWork(work: Omit<Work, 'placementKey'>): Work {
  return { ...work, placementKey: `${work.priority} ${work.modelDigest} ${work.tenant} ${work.asked.text}` };
}

/** Why an attempt is over; `result` is the good end. Goes into records, spans and events as it is. */
export type AttemptEnd =
  | 'result'
  | 'superseded'
  | 'worker-lost'
  | 'region-down'
  | 'no-workers'
  | 'no-ack'
  | 'not-announced'
  | 'hung'
  /** Late: placed elsewhere as well. It may still bring the result. */
  | 'hedged'
  | 'returned'
  /** A residency rule that changed since does not allow the region any more. */
  | 'not-allowed'
  | 'retryable-failure'
  | 'cancelled'
  | 'expired'
  | 'failed';

/** One placement. Times are wall milliseconds. */
export interface Attempt {
  readonly number: number;
  readonly fence: number;
  readonly region: string;
  readonly placedMs: number;
  /** When the fault was noticed that made this placement necessary; undefined for a first placement. */
  readonly faultMs?: number;
  /** Until its result, as believed when it was placed. */
  readonly expectedMs?: number;
  /** The tenant's record as it was when the region was chosen. */
  readonly requires?: readonly RequiredRecord[];
  /** How the attempt before ended. */
  readonly after?: AttemptEnd;
  /** PubAck of the claim. */
  readonly storedMs?: number;
  readonly announcedMs?: number;
  readonly worker?: string;
  /** Collector stream on which the worker holds it. */
  readonly stream?: string;
}

export interface EndedAttempt extends Attempt {
  readonly endedMs: number;
  readonly end: AttemptEnd;
}

/** Why a task has no recognition. */
export interface TaskFailure {
  readonly code: Code;
  /** Upper snake case. */
  readonly reason: string;
  readonly message: string;
  readonly retryable: boolean;
}

export type Outcome =
  | { readonly kind: 'recognition'; readonly recognition: Recognition }
  | { readonly kind: 'failure'; readonly failure: TaskFailure };

/** Worker-side durations of a result. */
export interface WorkerTimes {
  readonly waitMs: number;
  readonly decodeMs: number;
  readonly inferenceMs: number;
  /** From the arrival of the bytes to the result's departure. */
  readonly heldMs: number;
}

export interface TaskTimes {
  readonly queueMs: number;
  readonly transferMs: number;
  readonly decodeMs: number;
  readonly inferenceMs: number;
  readonly returnMs: number;
  readonly totalMs: number;
}

/** A task whose result became part of another one's. */
export interface TileFacts {
  readonly taskId: string;
  /** Pixels of the upright picture. */
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly region: string;
  readonly worker: string;
  readonly attempts: number;
  readonly objects: number;
  /** Of the piece, as it was sent. */
  readonly bytes: number;
}

/** The one terminal state of a task. */
export interface Ending {
  readonly how: 'committed' | 'failed' | 'expired' | 'cancelled';
  readonly outcome: Outcome;
  /** Fence, region and worker of the attempt that brought the outcome; 0 and empty when none did. */
  readonly fence: number;
  readonly region: string;
  readonly worker: string;
  /** Id of the claim's event, as the worker gave it back. */
  readonly cause?: string;
  readonly times: TaskTimes;
  /** Of a tiled picture. */
  readonly tiles?: readonly TileFacts[];
}

/** A worker that waits to hear that it may acknowledge the claim's message. */
export interface PendingAck {
  readonly stream: string;
  readonly fence: number;
}

export type TaskState =
  | {
      readonly kind: 'ready';
      /** Not tried next where another region will do. */
      readonly excludedRegion?: string;
      readonly faultMs?: number;
      readonly after?: AttemptEnd;
    }
  /** The claim is on its way to the queue of a region. */
  | { readonly kind: 'placing'; readonly attempt: Attempt }
  /** The region's queue has the claim. */
  | { readonly kind: 'placed'; readonly attempt: Attempt }
  /** A worker holds the claim and has been sent the picture. */
  | { readonly kind: 'announced'; readonly attempt: Attempt }
  /** The ending is being written; nothing else can happen to it. */
  | { readonly kind: 'storing'; readonly ending: Ending; readonly acks: readonly PendingAck[] }
  | { readonly kind: 'ended'; readonly ending: Ending };

/** One picture of a work. Immutable; `decide` makes the next one. */
export interface Task {
  readonly taskId: string;
  readonly work: Work;
  /** Position in the job's header. */
  readonly index: number;
  readonly pictureName: string;
  /** sha256, 32 bytes. */
  readonly pictureDigest: Uint8Array;
  readonly pictureBytes: number;
  /** By its header; 0: not known, or of no interest: an ordinary picture goes as it came to every region. */
  readonly picturePixels: number;
  readonly state: TaskState;
  /** The last ended attempts, oldest first; at most `attemptsKeptMax`. */
  readonly attempts: readonly EndedAttempt[];
  /** Placements in this term. */
  readonly placements: number;
  /** Attempts that ended by a retryable failure of the task itself. */
  readonly failures: number;
  /** Those of them that took the worker's child down or hung it. */
  readonly crashes: number;
}

export const NO_TIMES: TaskTimes = {
  queueMs: 0,
  transferMs: 0,
  decodeMs: 0,
  inferenceMs: 0,
  returnMs: 0,
  totalMs: 0,
};

export function newTask(
  work: Work,
  picture: Pick<Task, 'taskId' | 'index' | 'pictureName' | 'pictureDigest' | 'pictureBytes'> &
    Partial<Pick<Task, 'picturePixels'>>,
): Task {
  return {
    picturePixels: 0,
    ...picture,
    work,
    state: { kind: 'ready' },
    attempts: [],
    placements: 0,
    failures: 0,
    crashes: 0,
  };
}

/** The attempt under way, if any. */
export function openAttempt(task: Task): Attempt | undefined {
  const { state } = task;
  return state.kind === 'placing' || state.kind === 'placed' || state.kind === 'announced' ? state.attempt : undefined;
}
