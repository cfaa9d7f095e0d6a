import { createHash } from 'node:crypto';
import { attributeNames, contextFromTraceparent } from '@meridian/runtime';
import {
  type Context,
  type Link,
  type Span,
  type SpanContext,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import type { Attempt, EndedAttempt, Ending, Task } from '../tasks/task.ts';

/**
 * The owner's own spans: one per attempt, because a killed worker exports none, and one per task with where the time went.
 *
 * 1. A call's spans belong to the trace of its request. A job task's trace id is derived from the task id, so that the
 *    trace goes on when the owner restarts, and nothing has to be kept for tasks that wait.
 * 2. Open spans are those of open attempts: as many as the placement windows allow.
 */
export class TaskTracer {
  readonly #tracer: Tracer;
  readonly #sampleRatio: number;
  /** Contexts of calls, by task. */
  readonly #calls = new Map<string, Context>();
  readonly #attempts = new Map<string, Span>();
  /** The last attempt of a task that has had one: the next one links to it. */
  readonly #last = new Map<string, SpanContext>();

  constructor(tracer: Tracer, sampleRatio: number) {
    this.#tracer = tracer;
    this.#sampleRatio = sampleRatio;
  }

  /** A call's task belongs to the trace of its request. */
  beginCall(taskId: string, context: Context): void {
    this.#calls.set(taskId, context);
  }

  /** @returns the context that goes with the claim. */
  beginAttempt(task: Task, attempt: Attempt): Context {
    const context = this.contextOf(task);
    const previous = this.#last.get(task.taskId);
    const links: Link[] = previous === undefined ? [] : [{ context: previous }];
    const attributes = {
      ...identity(task),
      [attributeNames.attempt]: attempt.number,
      [attributeNames.fence]: attempt.fence,
      [attributeNames.region]: attempt.region,
      [attributeNames.targetRegion]: attempt.region,
    };
    const span = this.#tracer.startSpan('attempt', { startTime: attempt.placedMs, attributes, links }, context);
    this.#attempts.set(`${task.taskId}#${attempt.fence}`, span);
    this.#last.set(task.taskId, span.spanContext());
    return trace.setSpan(context, span);
  }

  endAttempt(task: Task, attempt: EndedAttempt): void {
    const key = `${task.taskId}#${attempt.fence}`;
    const span = this.#attempts.get(key);
    if (span === undefined) return;
    this.#attempts.delete(key);
    span.setAttribute(attributeNames.reason, attempt.end);
    if (attempt.worker !== undefined) span.setAttribute(attributeNames.worker, attempt.worker);
    if (attempt.storedMs !== undefined) span.addEvent('claim stored', undefined, attempt.storedMs);
    if (attempt.announcedMs !== undefined) span.addEvent('announced', undefined, attempt.announcedMs);
    if (attempt.end !== 'result') span.setStatus({ code: SpanStatusCode.ERROR, message: attempt.end });
    span.end(attempt.endedMs);
  }

  endTask(task: Task, ending: Ending, nowMs: number): void {
    const context = this.contextOf(task);
    this.#calls.delete(task.taskId);
    this.#last.delete(task.taskId);
    const { queueMs, transferMs, decodeMs, inferenceMs, returnMs } = ending.times;
    const attributes = {
      ...identity(task),
      [attributeNames.outcome]: ending.how,
      [attributeNames.targetRegion]: ending.region,
      [attributeNames.worker]: ending.worker,
      [attributeNames.attempt]: task.placements,
      [attributeNames.queueMs]: rounded(queueMs),
      [attributeNames.transferMs]: rounded(transferMs),
      [attributeNames.decodeMs]: rounded(decodeMs),
      [attributeNames.inferenceMs]: rounded(inferenceMs),
      [attributeNames.returnMs]: rounded(returnMs),
    };
    const span = this.#tracer.startSpan('task', { startTime: task.work.acceptedMs, attributes }, context);
    if (ending.outcome.kind === 'failure') {
      span.setAttribute(attributeNames.reason, ending.outcome.failure.reason);
      span.setStatus({ code: SpanStatusCode.ERROR, message: ending.outcome.failure.reason });
    }
    span.end(nowMs);
  }

  /** A call that got the answer of another task, and so ends without an attempt. */
  cachedTask(task: Task, context: Context, cachedTaskId: string, nowMs: number): void {
    const attributes = {
      ...identity(task),
      [attributeNames.outcome]: 'cached',
      [attributeNames.cachedTaskId]: cachedTaskId,
    };
    this.#tracer.startSpan('task', { startTime: task.work.acceptedMs, attributes }, context).end(nowMs);
  }

  /** The trace that the task's spans belong to. */
  contextOf(task: Task): Context {
    const context = this.#calls.get(task.taskId);
    if (context !== undefined) return context;
    const hash = createHash('sha256').update(task.taskId).digest('hex');
    const sampled = Number.parseInt(hash.slice(0, 8), 16) < this.#sampleRatio * 2 ** 32;
    return contextFromTraceparent(`00-${hash.slice(0, 32)}-${hash.slice(32, 48)}-${sampled ? '01' : '00'}`);
  }
}

function identity(task: Task) {
  const { jobId, tenant, model, priority } = task.work;
  return {
    [attributeNames.taskId]: task.taskId,
    ...(jobId !== '' && { [attributeNames.jobId]: jobId }),
    [attributeNames.tenant]: tenant,
    [attributeNames.model]: model,
    [attributeNames.priority]: priority,
    [attributeNames.pictureBytes]: task.pictureBytes,
  };
}

function rounded(ms: number): string {
  return ms.toFixed(2);
}
