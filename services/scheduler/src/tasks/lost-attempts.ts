import type { RegionView } from '../placement/region-view.ts';
import type { AnnounceOrder } from './announce-order.ts';
import { type Attempt, openAttempt, type Task } from './task.ts';
import type { LossReason } from './transition.ts';

export interface AttemptLimits {
  /** A claim that no worker announced. Long: it may wait behind others' work; the other signs are faster. */
  readonly announceTimeoutMs: number;
  /** An announced claim without a result, on a stream that is alive. Above any model's own time-out. */
  readonly attemptTimeoutMs: number;
  /** A region that says it holds nothing, this long after it stored our claim. */
  readonly emptyGraceMs: number;
}

/** Name of the queue that a claim waits in. */
export function queueOf(task: Task, region: string): string {
  return `${region} ${task.work.priority} ${task.work.model}`;
}

/**
 * Why the open attempt of a task has to be given up now, if it has to.
 *
 * A claim that a worker announced is judged by its stream, not by the region: a worker whose region's scheduler is
 * silent can still finish what it holds.
 */
export function lossOf(
  task: Task,
  view: RegionView | undefined,
  order: AnnounceOrder,
  nowMs: number,
  limits: AttemptLimits,
): LossReason | undefined {
  const attempt = openAttempt(task);
  if (attempt === undefined || view === undefined) return undefined;
  if (attempt.announcedMs !== undefined)
    return nowMs - attempt.announcedMs > limits.attemptTimeoutMs ? 'hung' : undefined;
  if (view.health === 'down') return 'region-down';
  if (view.health === 'up' && !view.hasWorkers && view.reportedMs >= attempt.placedMs) return 'no-workers';
  return isMissing(task, attempt, view, order, nowMs, limits) ? 'not-announced' : undefined;
}

function isMissing(
  task: Task,
  attempt: Attempt,
  view: RegionView,
  order: AnnounceOrder,
  nowMs: number,
  limits: AttemptLimits,
): boolean {
  // The publisher's own time-out judges what the broker has not acknowledged.
  if (attempt.storedMs === undefined) return false;
  if (nowMs - attempt.storedMs > limits.announceTimeoutMs) return true;
  if (order.overtaken(queueOf(task, attempt.region), attempt.placedMs)) return true;
  const reportedOf = view.reportedMs - view.roundTripMs;
  return view.load.outstanding === 0 && reportedOf > attempt.storedMs + limits.emptyGraceMs;
}
