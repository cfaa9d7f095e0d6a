import type { RequiredRecord } from '@meridian/replica';
import type { Attempt, AttemptEnd, EndedAttempt, Ending, Outcome, PendingAck, Task, WorkerTimes } from './task.ts';

/** What can happen to a task. Fences say which attempt is meant. */
export type TaskInput =
  | {
      readonly kind: 'place';
      readonly region: string;
      readonly fence: number;
      readonly expectedMs?: number;
      /** Records that the choice of the region rests on. */
      readonly requires?: readonly RequiredRecord[];
    }
  | { readonly kind: 'claim-stored'; readonly fence: number }
  | {
      readonly kind: 'announced';
      readonly fence: number;
      readonly stream: string;
      readonly worker: string;
      /** The worker holds it and waits for records or its model: it wants no bytes yet. */
      readonly waits?: boolean;
    }
  | ResultInput
  | { readonly kind: 'returned'; readonly fence: number; readonly stream: string }
  | { readonly kind: 'attempt-lost'; readonly fence: number; readonly end: LossReason }
  /** The owner itself cannot go on, e.g. the picture is gone from its disk. */
  | { readonly kind: 'fail'; readonly outcome: Outcome }
  | { readonly kind: 'cancel' }
  | { readonly kind: 'expire' }
  /** The ending is durable. */
  | { readonly kind: 'stored' };

export type LossReason = Extract<
  AttemptEnd,
  'worker-lost' | 'region-down' | 'no-workers' | 'no-ack' | 'not-announced' | 'hung' | 'hedged' | 'not-allowed'
>;

export interface ResultInput {
  readonly kind: 'result';
  readonly fence: number;
  readonly stream: string;
  readonly region: string;
  readonly worker: string;
  readonly outcome: Outcome;
  /** Id of the claim's event. */
  readonly cause?: string;
  readonly times: WorkerTimes;
  /** Round trip to the worker's region. */
  readonly roundTripMs: number;
}

export type RefusalReason = 'stale-fence' | 'unknown-task' | 'cancelled' | 'expired' | 'finished';

/** What the owner has to do, in this order. */
export type TaskEffect =
  | { readonly kind: 'publish-claim'; readonly attempt: Attempt }
  | { readonly kind: 'claim-stored'; readonly attempt: Attempt }
  | { readonly kind: 'send-picture'; readonly stream: string; readonly fence: number }
  | { readonly kind: 'refuse'; readonly stream: string; readonly fence: number; readonly reason: RefusalReason }
  | { readonly kind: 'acknowledge'; readonly ack: PendingAck }
  | { readonly kind: 'cancel-on-worker'; readonly stream: string }
  | { readonly kind: 'store'; readonly ending: Ending }
  | { readonly kind: 'dead-letter'; readonly ending: Ending }
  | { readonly kind: 'attempt-ended'; readonly attempt: EndedAttempt }
  /** Back to the ready queue, not before the delay has passed. */
  | { readonly kind: 'enqueue'; readonly delayMs: number }
  | { readonly kind: 'drop'; readonly what: 'late-result' | 'stale-failure' }
  | { readonly kind: 'ended'; readonly ending: Ending };

export interface Decision {
  readonly task: Task;
  readonly effects: readonly TaskEffect[];
}

/** Bounds of one task's life; the reasons are with the defaults in config.ts. */
export interface TaskLimits {
  /** Retryable failures of the task itself before it is a dead letter. */
  readonly failuresMax: number;
  /** The same, of those that crashed or hung the worker's child. */
  readonly crashesMax: number;
  /** Placements in one term, whatever ended them. */
  readonly placementsMax: number;
  /** Ended attempts kept for the record. */
  readonly attemptsKeptMax: number;
  /** Waits before placing again after failures of the task and after many placements. */
  readonly retryDelayInitialMs: number;
  readonly retryDelayMaxMs: number;
}

export const TASK_LIMITS: TaskLimits = {
  failuresMax: 5,
  crashesMax: 3,
  placementsMax: 1000,
  attemptsKeptMax: 16,
  retryDelayInitialMs: 100,
  retryDelayMaxMs: 5000,
};
