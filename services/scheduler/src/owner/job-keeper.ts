import { create } from '@bufbuild/protobuf';
import { VersionVector } from '@meridian/causality';
import { DeadLetterSchema, type TaskRecord, TaskRecordSchema } from '@meridian/contracts/task';
import { assert, Failure } from '@meridian/failure';
import type { Clock, Logger } from '@meridian/runtime';
import { attemptMessage, claimMessage, type OwnerName, taskResult } from '../codec/task-result.ts';
import type { Job } from '../jobs/job.ts';
import { parseTaskId } from '../jobs/job-id.ts';
import type { JobIndex } from '../jobs/job-index.ts';
import type { CommittedResult, JobStore } from '../outbound/job-store.ts';
import type { Spool } from '../spool/spool.ts';
import type { Attempt, Cause, Ending, Outcome, Task } from '../tasks/task.ts';
import type { RefusalReason } from '../tasks/transition.ts';
import type { JobEndings } from './job-endings.ts';
import { hex } from './job-work.ts';
import type { PlacementNews } from './placement-news.ts';

export interface JobKeeperOptions {
  readonly owner: OwnerName;
  readonly index: JobIndex;
  readonly store: JobStore;
  readonly spool: Spool;
  readonly endings: JobEndings;
  readonly news: PlacementNews;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The task's ending is durable. */
  readonly stored: (taskId: string) => void;
}

/** What the effects of job tasks need: their pictures, and results that become durable. */
export class JobKeeper {
  readonly #o: JobKeeperOptions;

  constructor(options: JobKeeperOptions) {
    this.#o = options;
  }

  /** @returns undefined when the task is not one of a job that is kept here. */
  endedReason(taskId: string): RefusalReason | undefined {
    const parsed = parseTaskId(taskId);
    const job = parsed && this.#o.index.find(parsed.jobId);
    if (parsed === undefined || job === undefined) return undefined;
    if (job.isFinal(parsed.index)) return 'finished';
    return job.phase === 'running' ? undefined : 'cancelled';
  }

  picture(task: Task): Promise<Uint8Array> {
    return this.#o.spool.read(hex(task.pictureDigest));
  }

  placed(task: Task, attempt: Attempt): void {
    const job = this.#o.index.find(task.work.jobId);
    if (job !== undefined) this.#o.news.add(job, task, attempt);
  }

  /** Writes the ending of a job's task; `stored` is told when it is durable. Rejected only by a broken invariant. */
  async commit(task: Task, ending: Ending): Promise<void> {
    const { index, endings, stored, logger } = this.#o;
    const job = index.find(task.work.jobId);
    assert(job !== undefined, 'a job is kept while it has open tasks');
    const write = job.beginWrite();
    try {
      const { sequence, record, atMs, cause } = await this.#write(job, task, ending);
      job.lastResult = cause;
      const succeeded = record.result?.outcome.case === 'recognition';
      job.final(write, { sequence, index: task.index }, succeeded, atMs);
      stored(task.taskId);
      endings.resultStored(job);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      // Only while stopping: the next life finds the task open and does it again.
      logger.debug({ err: error, taskId: task.taskId }, 'the result was not stored');
    }
  }

  deadLetter(task: Task, ending: Ending): void {
    const { owner, store, index, logger } = this.#o;
    const last = task.attempts.at(-1);
    const letter = create(DeadLetterSchema, {
      ...(last !== undefined && { claim: claimMessage(task, last, owner) }),
      ...(ending.outcome.kind === 'failure' && { error: ending.outcome.failure }),
      attempts: task.attempts.map(attemptMessage),
    });
    index.find(task.work.jobId)?.deadLetters.push(task.taskId);
    // The result says the same and is what counts: the letter is for operators.
    store.deadLetter(task.taskId, letter, causesOf(task, ending, owner)).catch((error: unknown) => {
      logger.error({ err: error, taskId: task.taskId }, 'the dead letter was not stored');
    });
  }

  async #write(job: Job, task: Task, ending: Ending): Promise<CommittedResult> {
    const { store, owner } = this.#o;
    const options = { causes: causesOf(task, ending, owner), tenant: task.work.tenant };
    try {
      return await store.commit(job.facts.jobId, task.index, this.#recordOf(task, ending), options);
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== 'INVALID_ARGUMENT') throw error;
      const outcome = unstorable(error);
      return store.commit(job.facts.jobId, task.index, this.#recordOf(task, { ...ending, outcome }), options);
    }
  }

  #recordOf(task: Task, ending: Ending): TaskRecord {
    return create(TaskRecordSchema, {
      result: taskResult(task, ending, this.#o.owner.region),
      fence: BigInt(ending.fence),
      attempts: task.attempts.map(attemptMessage),
    });
  }
}

/**
 * The claim that led to the result, else the job's record. The claim was emitted here, so what it had seen is known here:
 * an empty vector adds nothing to that.
 */
function causesOf(task: Task, ending: Ending, owner: OwnerName): readonly Cause[] {
  if (ending.cause?.startsWith(`${owner.region}.scheduler.`))
    return [{ id: ending.cause, vector: VersionVector.EMPTY }];
  return task.work.causes;
}

/** The stream will never take the result, e.g. because it is too large: the task fails, the job goes on. */
function unstorable(failure: Failure): Outcome {
  const { code, reason, message } = failure;
  return { kind: 'failure', failure: { code, reason, message, retryable: false } };
}
