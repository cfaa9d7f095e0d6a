import {
  type Ending,
  NO_TIMES,
  type Outcome,
  openAttempt,
  type PendingAck,
  type Task,
  type TaskTimes,
} from './task.ts';
import type { Decision, ResultInput, TaskEffect } from './transition.ts';

/** Steps of `decide` that lead to an ending. */

/** The only way to an ending other than cancellation: durable tasks store it first. */
export function finish(closed: Decision, ending: Ending, acks: readonly PendingAck[]): Decision {
  const { task, effects } = closed;
  if (task.work.jobId === '') return end(task, ending, acks, effects);
  return {
    task: { ...task, state: { kind: 'storing', ending, acks } },
    effects: [...effects, { kind: 'store', ending }],
  };
}

export function end(task: Task, ending: Ending, acks: readonly PendingAck[], before: readonly TaskEffect[]): Decision {
  const acknowledge = acks.map((ack): TaskEffect => ({ kind: 'acknowledge', ack }));
  return {
    task: { ...task, state: { kind: 'ended', ending } },
    effects: [...before, ...callOff(task, ending.fence), { kind: 'ended', ending }, ...acknowledge],
  };
}

/** Workers that go on with an attempt that was hedged need not any more, but for the one whose result it is. */
export function callOff({ attempts }: Task, fence: number): TaskEffect[] {
  const late = attempts.filter((attempt) => attempt.end === 'hedged' && attempt.fence !== fence);
  return late.flatMap(({ stream }) => (stream === undefined ? [] : [{ kind: 'cancel-on-worker' as const, stream }]));
}

export function endingOf(task: Task, how: Ending['how'], outcome: Outcome, nowMs: number, from?: ResultInput): Ending {
  return {
    how,
    outcome,
    fence: from?.fence ?? 0,
    region: from?.region ?? '',
    worker: from?.worker ?? '',
    ...(from?.cause !== undefined && { cause: from.cause }),
    times: from === undefined ? { ...NO_TIMES, totalMs: nowMs - task.work.acceptedMs } : timesOf(task, from, nowMs),
  };
}

/**
 * Where the milliseconds went. What the owner saw between announcement and result, less what the worker held the
 * picture for, was spent on the way; half a round trip of that is the way back.
 */
export function timesOf(task: Task, input: ResultInput, nowMs: number): TaskTimes {
  const { waitMs, decodeMs, inferenceMs, heldMs } = input.times;
  const attempt = openAttempt(task);
  const known = attempt?.fence === input.fence ? attempt : task.attempts.find((a) => a.fence === input.fence);
  const totalMs = Math.max(0, nowMs - task.work.acceptedMs);
  const announcedMs = known?.announcedMs ?? Math.max(task.work.acceptedMs, nowMs - heldMs);
  const onTheWayMs = Math.max(0, nowMs - announcedMs - heldMs);
  const backMs = Math.min(onTheWayMs, input.roundTripMs / 2);
  return {
    queueMs: Math.max(0, announcedMs - task.work.acceptedMs) + waitMs,
    transferMs: onTheWayMs - backMs,
    decodeMs,
    inferenceMs,
    returnMs: backMs + Math.max(0, heldMs - waitMs - decodeMs - inferenceMs),
    totalMs,
  };
}

export function failureOf(
  code: 'CANCELLED' | 'DEADLINE_EXCEEDED' | 'UNAVAILABLE',
  reason: string,
  message: string,
): Outcome {
  return { kind: 'failure', failure: { code, reason, message, retryable: false } };
}

export function isOver(task: Task): boolean {
  return task.state.kind === 'storing' || task.state.kind === 'ended';
}

export function unchanged(task: Task, ...effects: readonly TaskEffect[]): Decision {
  return { task, effects };
}
