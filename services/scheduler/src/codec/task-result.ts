import type { MessageInitShape } from '@bufbuild/protobuf';
import { formatDot } from '@meridian/causality';
import type { TaskResultSchema } from '@meridian/contracts/recognition';
import type { AttemptSchema, TaskClaimSchema } from '@meridian/contracts/task';
import { Failure } from '@meridian/failure';
import { encodeRecord, type RequiredRecord } from '@meridian/replica';
import type { Attempt, EndedAttempt, Ending, Task, TaskFailure } from '../tasks/task.ts';
import { priorityValue } from './priority.ts';

export type Answer = MessageInitShape<typeof TaskResultSchema>;

export interface OwnerName {
  readonly region: string;
  readonly replica: string;
}

export function taskResult(task: Task, ending: Ending, entryRegion: string): MessageInitShape<typeof TaskResultSchema> {
  const { outcome } = ending;
  return {
    taskId: task.taskId,
    jobId: task.work.jobId,
    index: task.index,
    pictureName: task.pictureName,
    pictureDigest: task.pictureDigest,
    outcome:
      outcome.kind === 'recognition'
        ? { case: 'recognition', value: outcome.recognition }
        : { case: 'error', value: outcome.failure },
    model: task.work.model,
    modelDigest: task.work.modelDigest,
    entryRegion,
    region: ending.region,
    worker: ending.worker,
    attempts: Math.max(1, task.placements),
    timings: ending.times,
    tiles: [...(ending.tiles ?? [])],
  };
}

export function claimMessage(task: Task, attempt: Attempt, owner: OwnerName): MessageInitShape<typeof TaskClaimSchema> {
  const { work } = task;
  const requires = requiresOf(work, attempt);
  return {
    taskId: task.taskId,
    jobId: work.jobId,
    tenant: work.tenant,
    priority: priorityValue(work.priority),
    model: work.model,
    modelDigest: work.modelDigest,
    pictureDigest: task.pictureDigest,
    pictureBytes: task.pictureBytes,
    fence: BigInt(attempt.fence),
    attempt: attempt.number,
    deadlineUnixMs: BigInt(Math.round(work.deadlineMs)),
    requires: requires.map(({ dot }) => formatDot(dot)),
    requiredRecords: requires.map(encodeRecord),
    owner,
    placedUnixMs: BigInt(Math.round(attempt.placedMs)),
  };
}

/** What the placement rests on takes the place of what the work was accepted with. */
function requiresOf({ requires }: Task['work'], attempt: Attempt): readonly RequiredRecord[] {
  const newer = attempt.requires ?? [];
  const keys = new Set(newer.map(({ key }) => key));
  return [...requires.filter(({ key }) => !keys.has(key)), ...newer];
}

export function attemptMessage(attempt: EndedAttempt): MessageInitShape<typeof AttemptSchema> {
  return {
    fence: BigInt(attempt.fence),
    region: attempt.region,
    worker: attempt.worker ?? '',
    placedUnixMs: BigInt(Math.round(attempt.placedMs)),
    announcedUnixMs: BigInt(Math.round(attempt.announcedMs ?? 0)),
    endedUnixMs: BigInt(Math.round(attempt.endedMs)),
    end: attempt.end,
  };
}

/** A task's failure as the failure of the call that asked for it. */
export function callFailure(failure: TaskFailure, taskId: string): Failure {
  const { code, reason, message, retryable } = failure;
  return new Failure(code, message, { reason, retryable, details: { taskId } });
}
