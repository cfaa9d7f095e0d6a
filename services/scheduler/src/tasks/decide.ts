import { assert } from '@meridian/failure';
import { callOff, end, endingOf, failureOf, finish, isOver, timesOf, unchanged } from './ending.ts';
import { attemptOf } from './fence.ts';
import { closeAttempt, giveUp } from './give-up.ts';
import { type Attempt, type Ending, type Outcome, openAttempt, type PendingAck, type Task } from './task.ts';
import type {
  Decision,
  LossReason,
  RefusalReason,
  ResultInput,
  TaskEffect,
  TaskInput,
  TaskLimits,
} from './transition.ts';

/**
 * The one place that decides about a task. Pure: (task, input, time) → (task, effects).
 *
 * 1. A task has exactly one ending: `store` is asked for once, and after `ended` nothing changes any more.
 * 2. At most one attempt is open, the one with the highest fence. Only its fence is sent bytes; others are refused.
 * 3. A good or final result of any fence ends an open task (it is correct work); a retryable failure counts only
 *    when it comes from the open attempt.
 * 4. A durable task's result is acknowledged only after `stored`; what comes later is acknowledged and dropped.
 * 5. No attempt starts after the deadline.
 * 6. An attempt that is late may be hedged: it is over here, as if it were lost, but its worker goes on, and by 3 whichever
 *    result comes first ends the task. The ending calls off all that were hedged.
 * 7. Loss of workers and regions, and a region that lacks records which the task was placed with, are never the task's
 *    fault: they count towards `placementsMax` only.
 */
export function decide(task: Task, input: TaskInput, nowMs: number, limits: TaskLimits): Decision {
  switch (input.kind) {
    case 'place':
      return place(task, input, nowMs, limits);
    case 'claim-stored':
      return claimStored(task, input.fence, nowMs);
    case 'announced':
      return announced(task, input, nowMs, limits);
    case 'result':
      return result(task, input, nowMs, limits);
    case 'returned':
      return returned(task, input.fence, input.stream, nowMs, limits);
    case 'attempt-lost':
      return lost(task, input.fence, input.end, nowMs, limits);
    case 'fail':
      return fail(task, input.outcome, nowMs, limits);
    case 'cancel':
      return cancel(task, nowMs, limits);
    case 'expire':
      return expire(task, nowMs, limits);
    case 'stored':
      return stored(task);
  }
}

/** What a worker reports when its region did not get the required records in time. */
const RECORDS_MISSING = 'STATE_MISSING';

/** Reason to refuse a claim of a task that has this ending. */
export function refusalOf(how: Ending['how']): RefusalReason {
  return how === 'cancelled' || how === 'expired' ? how : 'finished';
}

function place(
  task: Task,
  { region, fence, expectedMs, requires }: Extract<TaskInput, { kind: 'place' }>,
  nowMs: number,
  limits: TaskLimits,
): Decision {
  const { state } = task;
  assert(state.kind === 'ready', `only a ready task is placed, ${task.taskId} is ${state.kind}`);
  if (nowMs >= task.work.deadlineMs) return expire(task, nowMs, limits);
  const number = task.placements + 1;
  assert(attemptOf(fence) === number, 'fences follow the placements');
  const attempt: Attempt = {
    number,
    fence,
    region,
    placedMs: nowMs,
    ...(expectedMs !== undefined && { expectedMs }),
    ...(requires !== undefined && { requires }),
    ...(state.faultMs !== undefined && { faultMs: state.faultMs }),
    ...(state.after !== undefined && { after: state.after }),
  };
  return {
    task: { ...task, placements: number, state: { kind: 'placing', attempt } },
    effects: [{ kind: 'publish-claim', attempt }],
  };
}

function claimStored(task: Task, fence: number, nowMs: number): Decision {
  const attempt = openAttempt(task);
  if (attempt?.fence !== fence || attempt.storedMs !== undefined) return unchanged(task);
  const acked = { ...attempt, storedMs: nowMs };
  // A near worker may announce the claim before its PubAck is here.
  const kind = task.state.kind === 'announced' ? 'announced' : 'placed';
  return { task: { ...task, state: { kind, attempt: acked } }, effects: [{ kind: 'claim-stored', attempt: acked }] };
}

function announced(
  task: Task,
  input: Extract<TaskInput, { kind: 'announced' }>,
  nowMs: number,
  limits: TaskLimits,
): Decision {
  const { fence, stream, worker } = input;
  const refuse = (reason: RefusalReason): TaskEffect => ({ kind: 'refuse', stream, fence, reason });
  const { state } = task;
  if (state.kind === 'ended') return unchanged(task, refuse(refusalOf(state.ending.how)));
  if (state.kind === 'storing') return unchanged(task, refuse('finished'));
  if (nowMs >= task.work.deadlineMs) {
    const expired = expire(task, nowMs, limits);
    return { task: expired.task, effects: [...expired.effects, refuse('expired')] };
  }
  const attempt = openAttempt(task);
  if (attempt?.fence !== fence) return unchanged(task, refuse('stale-fence'));
  if (attempt.stream !== undefined && attempt.stream !== stream) return unchanged(task, refuse('stale-fence'));
  const held = { ...attempt, announcedMs: attempt.announcedMs ?? nowMs, worker, stream };
  return {
    task: { ...task, state: { kind: 'announced', attempt: held } },
    effects: input.waits ? [] : [{ kind: 'send-picture', stream, fence }],
  };
}

function result(task: Task, input: ResultInput, nowMs: number, limits: TaskLimits): Decision {
  const { outcome, fence, stream } = input;
  const ack: PendingAck = { stream, fence };
  const { state } = task;
  if (state.kind === 'ended')
    return unchanged(task, { kind: 'acknowledge', ack }, { kind: 'drop', what: 'late-result' });
  if (state.kind === 'storing')
    return {
      task: { ...task, state: { ...state, acks: [...state.acks, ack].slice(0, limits.attemptsKeptMax) } },
      effects: [{ kind: 'drop', what: 'late-result' }],
    };
  if (outcome.kind === 'failure' && outcome.failure.retryable) return retryableFailure(task, input, nowMs, limits);
  const own = openAttempt(task)?.fence === fence;
  const ended = closeAttempt(task, own ? 'result' : 'superseded', nowMs, limits);
  const ending: Ending = {
    how: outcome.kind === 'recognition' ? 'committed' : 'failed',
    outcome,
    fence,
    region: input.region,
    worker: input.worker,
    ...(input.cause !== undefined && { cause: input.cause }),
    times: timesOf(task, input, nowMs),
  };
  return finish(ended, ending, [ack]);
}

/** Invariant 3: only the open attempt's failure counts; then again elsewhere, or the dead letter. */
function retryableFailure(task: Task, input: ResultInput, nowMs: number, limits: TaskLimits): Decision {
  const ack: TaskEffect = { kind: 'acknowledge', ack: { stream: input.stream, fence: input.fence } };
  if (openAttempt(task)?.fence !== input.fence || input.outcome.kind !== 'failure')
    return unchanged(task, ack, { kind: 'drop', what: 'stale-failure' });
  const { failure } = input.outcome;
  // INTERNAL is what a worker reports when the picture took its child down or hung it.
  const crashes = task.crashes + (failure.code === 'INTERNAL' ? 1 : 0);
  const failures = task.failures + (failure.reason === RECORDS_MISSING ? 0 : 1);
  const counted = { ...task, failures, crashes };
  if (crashes < limits.crashesMax && counted.failures < limits.failuresMax) {
    const again = giveUp(counted, 'retryable-failure', nowMs, limits);
    return { task: again.task, effects: [ack, ...again.effects] };
  }
  const closed = closeAttempt(counted, 'retryable-failure', nowMs, limits);
  const ending = endingOf(task, 'failed', { kind: 'failure', failure: { ...failure, retryable: false } }, nowMs, input);
  return finish({ ...closed, effects: [...closed.effects, { kind: 'dead-letter', ending }] }, ending, [
    { stream: input.stream, fence: input.fence },
  ]);
}

function returned(task: Task, fence: number, stream: string, nowMs: number, limits: TaskLimits): Decision {
  const attempt = openAttempt(task);
  if (attempt?.fence !== fence) return unchanged(task);
  if (attempt.stream !== undefined && attempt.stream !== stream) return unchanged(task);
  return giveUp(task, 'returned', nowMs, limits);
}

function lost(task: Task, fence: number, end: LossReason, nowMs: number, limits: TaskLimits): Decision {
  return openAttempt(task)?.fence === fence ? giveUp(task, end, nowMs, limits) : unchanged(task);
}

function fail(task: Task, outcome: Outcome, nowMs: number, limits: TaskLimits): Decision {
  if (isOver(task)) return unchanged(task);
  return finish(closeAttempt(task, 'failed', nowMs, limits), endingOf(task, 'failed', outcome, nowMs), []);
}

function cancel(task: Task, nowMs: number, limits: TaskLimits): Decision {
  if (isOver(task)) return unchanged(task);
  const closed = closeAttempt(task, 'cancelled', nowMs, limits);
  const ending = endingOf(task, 'cancelled', failureOf('CANCELLED', 'CANCELLED', 'the work was cancelled'), nowMs);
  // The job's record says that it is cancelled; its open tasks need no record of their own.
  return {
    task: { ...closed.task, state: { kind: 'ended', ending } },
    effects: [...closed.effects, ...callOff(task, ending.fence), { kind: 'ended', ending }],
  };
}

function expire(task: Task, nowMs: number, limits: TaskLimits): Decision {
  if (isOver(task)) return unchanged(task);
  const outcome = failureOf('DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED', 'the deadline passed before a result was there');
  return finish(closeAttempt(task, 'expired', nowMs, limits), endingOf(task, 'expired', outcome, nowMs), []);
}

function stored(task: Task): Decision {
  const { state } = task;
  if (state.kind !== 'storing') return unchanged(task);
  return end(task, state.ending, state.acks, []);
}
