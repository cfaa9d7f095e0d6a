import { hash } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { VersionVector } from '@meridian/causality';
import type { RecognizeRequest, TaskResultSchema } from '@meridian/contracts/recognition';
import { Failure } from '@meridian/failure';
import type { CallContext } from '@meridian/rpc';
import type { Clock } from '@meridian/runtime';
import { checkPicture } from '../codec/picture.ts';
import { priorityName } from '../codec/priority.ts';
import { callFailure, type OwnerName, taskResult } from '../codec/task-result.ts';
import { IdempotencyTable } from '../jobs/idempotency.ts';
import type { TaskTracer } from '../outbound/task-tracer.ts';
import type { Calls } from '../owner/calls.ts';
import { expectedServiceMs } from '../owner/job-work.ts';
import { allowedRegions, type PlacementRegion } from '../placement/rule.ts';
import type { Dispatcher } from '../tasks/dispatcher.ts';
import { newTask, newWork, type Task } from '../tasks/task.ts';
import { causesOf } from './call-cause.ts';
import { type Models, modelOf, requireReady } from './model-choice.ts';
import { requiredRecords } from './required-records.ts';
import { tenantOf } from './tenant.ts';

export interface RecognizerOptions {
  readonly owner: OwnerName;
  readonly regions: readonly PlacementRegion[];
  readonly models: Models;
  readonly calls: Calls;
  readonly tracer: TaskTracer;
  readonly clock: Clock;
  readonly vector: () => VersionVector;
  readonly dispatcher: () => Dispatcher;
}

export type Answer = MessageInitShape<typeof TaskResultSchema>;

interface KeyedContext extends Pick<CallContext, 'traceContext' | 'signal'> {
  readonly deadlineMs: number;
  readonly key: string;
}

/** A call whose caller named no deadline. */
const DEADLINE_MS = 30_000;
const KEY_BYTES_MAX = 128;
/** Above the horizon in which clients retry calls that take seconds. */
const KEEP_ANSWERS_MS = 10 * 60_000;
const ANSWERS_MAX = 4096;

/**
 * Recognises single pictures, not durably: a task per call, in memory only.
 *
 * 1. What can be refused without work is refused before any.
 * 2. A call with an idempotency key runs once, whoever waits for it; one without ends when its caller leaves.
 */
export class Recognizer {
  readonly #o: RecognizerOptions;
  readonly #answers = new IdempotencyTable<Answer>({ keysMax: ANSWERS_MAX, keepMs: KEEP_ANSWERS_MS });
  #count = 0;

  constructor(options: RecognizerOptions) {
    this.#o = options;
  }

  /** @param release gives the caller's slot back; called once, when the work is over. */
  recognize(request: RecognizeRequest, context: CallContext, release: () => void): Promise<Answer> {
    try {
      const { task, deadlineMs } = this.#taskOf(request, context);
      const key = request.idempotencyKey;
      if (key === '') return this.#run(task, request.picture, context, context.signal).finally(release);
      if (Buffer.byteLength(key) > KEY_BYTES_MAX)
        throw new Failure('INVALID_ARGUMENT', `idempotency_key: at most ${KEY_BYTES_MAX} bytes`, {
          reason: 'KEY_INVALID',
        });
      const { traceContext, signal } = context;
      return this.#once(task, request, { traceContext, signal, deadlineMs, key }, release);
    } catch (error) {
      release();
      return Promise.reject(error);
    }
  }

  /** The one that runs holds its slot until the work is over; the others hold theirs while they wait. */
  #once(task: Task, request: RecognizeRequest, context: KeyedContext, release: () => void): Promise<Answer> {
    const { clock } = this.#o;
    let runs = false;
    const run = () => {
      runs = true;
      return this.#run(task, request.picture, context, undefined).finally(release);
    };
    const answer = this.#answers.once(
      `${task.work.tenant}\n${context.key}`,
      fingerprint(request.model, task),
      clock.nowMs(),
      run,
    );
    const waited = within(answer, context.deadlineMs, clock, context.signal);
    return runs ? waited : waited.finally(release);
  }

  #taskOf(request: RecognizeRequest, context: CallContext): { task: Task; deadlineMs: number } {
    const { models, regions, clock, owner, dispatcher } = this.#o;
    checkPicture(request.picture);
    const tenant = tenantOf(request.tenant);
    const priority = priorityName(request.priority);
    if (priority === undefined)
      throw new Failure('INVALID_ARGUMENT', 'priority: not a priority class', { reason: 'PRIORITY_INVALID' });
    const allowed = allowedRegions(request.residency, regions);
    const model = modelOf(models, request.model, owner.region);
    requireReady(models, model, allowed);
    const nowMs = clock.nowMs();
    const deadlineMs = context.deadlineMs ?? nowMs + DEADLINE_MS;
    if (deadlineMs <= nowMs) throw deadlinePassed();
    const taskId = `${owner.region}-${owner.replica}-${dispatcher().term}-${++this.#count}`;
    const work = newWork({
      key: taskId,
      jobId: '',
      tenant,
      priority,
      model: model.name,
      modelDigest: model.digest,
      requires: requiredRecords(models, model, tenant),
      causes: causesOf(context, this.#o.vector()),
      allowedRegions: allowed,
      acceptedMs: nowMs,
      deadlineMs,
      expectedServiceMs: expectedServiceMs(model.manifest),
    });
    const pictureDigest = hash('sha256', request.picture, 'buffer');
    const picture = { taskId, index: 0, pictureName: '', pictureDigest, pictureBytes: request.picture.length };
    return { task: newTask(work, picture), deadlineMs };
  }

  async #run(
    task: Task,
    picture: Uint8Array,
    context: Pick<CallContext, 'traceContext'>,
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    const { calls, tracer, clock, dispatcher, owner } = this.#o;
    const { taskId } = task;
    if (signal?.aborted) throw Failure.from(signal.reason);
    const cancel = () => dispatcher().cancel(taskId, clock.nowMs());
    signal?.addEventListener('abort', cancel, { once: true });
    tracer.beginCall(taskId, context.traceContext);
    const ended = calls.open(taskId, picture);
    dispatcher().add([task]);
    const { task: last, ending } = await ended;
    signal?.removeEventListener('abort', cancel);
    if (ending.outcome.kind === 'failure') throw callFailure(ending.outcome.failure, taskId);
    return taskResult(last, ending, owner.region);
  }
}

/**
 * What a repeated call must agree in. The model as it was asked for, not the version that it stands for now: between two
 * tries of one call an alias may move, or a model be replaced.
 */
function fingerprint(model: string, { work, pictureDigest }: Task): string {
  const allowed = work.allowedRegions === undefined ? '*' : [...work.allowedRegions].sort().join();
  return `${work.priority} ${JSON.stringify(model)} ${allowed} ${Buffer.from(pictureDigest).toString('base64')}`;
}

/** A shared answer, for one of those who wait for it. */
function within<T>(answer: Promise<T>, deadlineMs: number, clock: Clock, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(Failure.from(signal.reason));
    const timer = clock.setTimer(deadlineMs - clock.nowMs(), () => reject(deadlinePassed()));
    signal.addEventListener('abort', leave, { once: true });
    answer.then(resolve, reject).finally(() => {
      timer.cancel();
      signal.removeEventListener('abort', leave);
    });
  });
}

function deadlinePassed(): Failure {
  return new Failure('DEADLINE_EXCEEDED', 'the deadline passed before a result was there');
}
