import { endingOf, failureOf, finish, unchanged } from './ending.ts';
import { type AttemptEnd, type EndedAttempt, openAttempt, type Task } from './task.ts';
import type { Decision, TaskEffect, TaskLimits } from './transition.ts';

/** Steps of `decide` that end an attempt but not its task. */

/** Placements that are lost without a wait; more of them look like a fault that needs time. */
const LOSSES_AT_ONCE = 8;

/** The attempt is over without an outcome: place again, elsewhere if possible. */
export function giveUp(task: Task, end: AttemptEnd, nowMs: number, limits: TaskLimits): Decision {
  const region = openAttempt(task)?.region;
  const closed = closeAttempt(task, end, nowMs, limits);
  if (task.placements >= limits.placementsMax) {
    const message = `given up after ${task.placements} placements, the last one ended by ${end}`;
    const ending = endingOf(task, 'failed', failureOf('UNAVAILABLE', 'ATTEMPTS_EXHAUSTED', message), nowMs);
    return finish({ ...closed, effects: [...closed.effects, { kind: 'dead-letter', ending }] }, ending, []);
  }
  const elsewhere = end !== 'returned' && region !== undefined;
  const state = { kind: 'ready', faultMs: nowMs, after: end, ...(elsewhere && { excludedRegion: region }) } as const;
  return {
    task: { ...closed.task, state },
    effects: [...closed.effects, { kind: 'enqueue', delayMs: retryDelayMs(task, end, limits) }],
  };
}

/** Lost workers and regions are replaced at once; failures of the task and endless losses back off. */
function retryDelayMs(task: Task, end: AttemptEnd, limits: TaskLimits): number {
  const steps = end === 'retryable-failure' ? task.failures : task.placements - LOSSES_AT_ONCE;
  if (steps <= 0) return 0;
  return Math.min(limits.retryDelayMaxMs, limits.retryDelayInitialMs * 2 ** Math.min(steps - 1, 16));
}

/** Ends the open attempt, if any, and tells its worker when the end is not of the worker's making. */
export function closeAttempt(task: Task, end: AttemptEnd, nowMs: number, limits: TaskLimits): Decision {
  const attempt = openAttempt(task);
  if (attempt === undefined) return unchanged(task);
  const ended: EndedAttempt = { ...attempt, endedMs: nowMs, end };
  const effects: TaskEffect[] = [{ kind: 'attempt-ended', attempt: ended }];
  const workerKnows = end === 'result' || end === 'retryable-failure' || end === 'returned' || end === 'worker-lost';
  if (attempt.stream !== undefined && !workerKnows && end !== 'hedged')
    effects.push({ kind: 'cancel-on-worker', stream: attempt.stream });
  return { task: { ...task, attempts: [...task.attempts, ended].slice(-limits.attemptsKeptMax) }, effects };
}
