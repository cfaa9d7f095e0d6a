import type { Attempt, EndedAttempt, Ending, Outcome, Task, WorkerTimes } from './task.ts';
import type { RefusalReason } from './transition.ts';

/** A worker's collector stream. */
export interface StreamRef {
  /** Unique in this process. */
  readonly id: string;
  readonly region: string;
  readonly worker: string;
}

export interface WorkerResult {
  readonly taskId: string;
  readonly fence: number;
  readonly outcome: Outcome;
  /** Id of the claim's event. */
  readonly cause?: string;
  readonly times: WorkerTimes;
}

/** What the dispatcher asks of the world. Each returns at once; answers come back as the dispatcher's inputs. */
export interface DispatchPorts {
  /** Answered by `claimStored` or `claimNotStored`. */
  publishClaim(task: Task, attempt: Attempt): void;
  claimStored(task: Task, attempt: Attempt): void;
  sendPicture(stream: string, task: Task, fence: number): void;
  refuse(stream: string, taskId: string, fence: number, reason: RefusalReason): void;
  acknowledge(stream: string, taskId: string, fence: number): void;
  cancelOnWorker(stream: string, taskId: string): void;
  /** Answered by `stored`; tried until it is. */
  store(task: Task, ending: Ending): void;
  deadLetter(task: Task, ending: Ending): void;
  attemptEnded(task: Task, attempt: EndedAttempt): void;
  ended(task: Task, ending: Ending): void;
  dropped(what: string): void;
  /** How a task ended that the dispatcher does not hold any more. */
  endedReason(taskId: string): RefusalReason;
  /** Asks for a `round`, soon and not from inside this call. */
  wake(): void;
}
