import { hash } from 'node:crypto';
import type { VersionVector } from '@meridian/causality';
import type { RecognizeRequest } from '@meridian/contracts/recognition';
import { Failure } from '@meridian/failure';
import type { CutOrder } from '@meridian/recognition/picture-cutter';
import type { Territory } from '@meridian/residency';
import type { CallContext } from '@meridian/rpc';
import type { Clock } from '@meridian/runtime';
import { checkPicture, picturePixels } from '../codec/picture.ts';
import { priorityName } from '../codec/priority.ts';
import { type Answer, callFailure, type OwnerName, taskResult } from '../codec/task-result.ts';
import { IdempotencyTable } from '../jobs/idempotency.ts';
import type { TaskTracer } from '../outbound/task-tracer.ts';
import type { Calls } from '../owner/calls.ts';
import { expectedServiceMs } from '../owner/job-work.ts';
import type { Residency, Ruling } from '../placement/residency.ts';
import type { Dispatcher } from '../tasks/dispatcher.ts';
import { type Ending, newTask, newWork, type Task } from '../tasks/task.ts';
import type { TiledPictures } from '../tiling/tiled-pictures.ts';
import { cutOrderFor, type TilingWish, tilingWish } from '../tiling/tiling-wish.ts';
import type { CachedAnswers, CacheUse } from './cached-answers.ts';
import { causesOf } from './call-cause.ts';
import { callRules } from './call-rules.ts';
import { isRolling, type Models, modelOf, requireReady } from './model-choice.ts';
import { requiredRecords } from './required-records.ts';
import { deadlinePassed, within } from './waiting.ts';

export interface RecognizerOptions {
  readonly owner: OwnerName;
  readonly residency: Residency;
  readonly models: Models;
  readonly calls: Calls;
  readonly tracer: TaskTracer;
  readonly clock: Clock;
  readonly vector: () => VersionVector;
  readonly dispatcher: () => Dispatcher;
  readonly cached: CachedAnswers;
  readonly tiled: Pick<TiledPictures, 'run'>;
}

/** A call that was checked: its task, should one be needed. */
interface Call {
  readonly task: Task;
  /** How the picture is cut; undefined when it is one task. */
  readonly cut: CutOrder | undefined;
  readonly tiling: TilingWish | undefined;
  readonly picture: Uint8Array;
  readonly traceContext: CallContext['traceContext'];
  readonly deadlineMs: number;
  readonly cacheUse: CacheUse;
  /** What was seen of the shared state when the model was chosen. */
  readonly seen: VersionVector;
}

/** The task as it was last, and how it ended. */
interface Ended {
  readonly task: Task;
  readonly ending: Ending;
}

/** A call whose caller named no deadline. */
const DEADLINE_MS = 30_000;
const KEY_BYTES_MAX = 128;
const NO_PLACE_RETRY_MS = 1_000;
/** Above the horizon in which clients retry calls that take seconds. */
const KEEP_ANSWERS_MS = 10 * 60_000;
const ANSWERS_MAX = 4096;

/**
 * Recognises single pictures, not durably: a task per call, in memory only.
 *
 * 1. What can be refused without work is refused before any.
 * 2. A call with an idempotency key runs once, whoever waits for it; one without ends when its caller leaves.
 * 3. The model's version is chosen anew for each call that runs, from what the region has seen; only then is a remembered
 *    answer of that version looked for.
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
      const call = this.#callOf(request, context);
      const key = request.idempotencyKey;
      if (key === '') return this.#run(call, context.signal).finally(release);
      if (Buffer.byteLength(key) > KEY_BYTES_MAX)
        throw new Failure('INVALID_ARGUMENT', `idempotency_key: at most ${KEY_BYTES_MAX} bytes`, {
          reason: 'KEY_INVALID',
        });
      return this.#once(call, request, context.signal, release);
    } catch (error) {
      release();
      return Promise.reject(error);
    }
  }

  /** The one that runs holds its slot until the work is over; the others hold theirs while they wait. */
  #once(call: Call, request: RecognizeRequest, signal: AbortSignal, release: () => void): Promise<Answer> {
    const { clock } = this.#o;
    let runs = false;
    const run = () => {
      runs = true;
      return this.#run(call, undefined).finally(release);
    };
    const answer = this.#answers.once(
      `${call.task.work.tenant}\n${request.idempotencyKey}`,
      fingerprint(request.model, call),
      clock.nowMs(),
      run,
    );
    const waited = within(answer, { deadlineMs: call.deadlineMs, signal }, clock);
    return runs ? waited : waited.finally(release);
  }

  #callOf(request: RecognizeRequest, context: CallContext): Call {
    const { models, residency, clock, owner, dispatcher } = this.#o;
    checkPicture(request.picture);
    const { tenant, asked } = callRules(context, request);
    const ruling = residency.requireHere(tenant, asked);
    const priority = priorityName(request.priority);
    if (priority === undefined)
      throw new Failure('INVALID_ARGUMENT', 'priority: not a priority class', { reason: 'PRIORITY_INVALID' });
    const model = modelOf(models, request.model, owner.region);
    const tiling = tilingWish(request.tiling);
    const cut = tiling && cutOrderFor(tiling, model.name, model.manifest);
    const seen = this.#o.vector();
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
      requires: requiredRecords(model, ruling),
      causes: causesOf(context, seen),
      asked,
      acceptedMs: nowMs,
      deadlineMs,
      expectedServiceMs: expectedServiceMs(model.manifest),
    });
    const pictureDigest = hash('sha256', request.picture, 'buffer');
    const sizes = { pictureBytes: request.picture.length, picturePixels: picturePixels(request.picture) };
    const picture = { taskId, index: 0, pictureName: '', pictureDigest, ...sizes };
    const cacheUse = this.#cacheUse(request, ruling);
    const { traceContext } = context;
    const task = newTask(work, picture);
    return { task, cut, tiling, picture: request.picture, traceContext, deadlineMs, cacheUse, seen };
  }

  /** Answers are kept where they may be only. While a roll of the alias is under way its gate judges the model by tasks, which an answer from memory is not. */
  #cacheUse(request: RecognizeRequest, { territory }: Ruling): CacheUse {
    if (request.noCache || !territory.allowed.has(this.#o.owner.region)) return 'none';
    return isRolling(this.#o.models, request.model) ? 'store' : 'full';
  }

  #run(call: Call, signal: AbortSignal | undefined): Promise<Answer> {
    const parameters = call.tiling === undefined ? {} : { ...call.tiling };
    return this.#o.cached.answer({ ...call, parameters, signal }, () => this.#compute(call, signal));
  }

  async #compute(call: Call, signal: AbortSignal | undefined): Promise<Answer> {
    const { models, tracer, owner, dispatcher, residency } = this.#o;
    const { task, traceContext } = call;
    const { taskId, work } = task;
    const { territory } = residency.rulingOf(work.tenant, work.asked);
    requireReady(models, { name: work.model, digest: work.modelDigest }, territory);
    if (territory.isRestricted && !dispatcher().hasPlaceFor(work)) throw noPlace(territory);
    if (signal?.aborted) throw Failure.from(signal.reason);
    tracer.beginCall(taskId, traceContext);
    const { task: last, ending } = await (call.cut === undefined
      ? this.#whole(call, signal)
      : this.#tiled(call, call.cut, signal));
    if (ending.outcome.kind === 'failure') throw callFailure(ending.outcome.failure, taskId);
    return taskResult(last, ending, owner.region);
  }

  async #whole({ task, picture }: Call, signal: AbortSignal | undefined): Promise<Ended> {
    const { calls, clock, dispatcher } = this.#o;
    const { taskId } = task;
    const cancel = () => dispatcher().cancel(taskId, clock.nowMs());
    signal?.addEventListener('abort', cancel, { once: true });
    const ended = calls.open(taskId, picture);
    dispatcher().add([task]);
    const last = await ended;
    signal?.removeEventListener('abort', cancel);
    return last;
  }

  async #tiled({ task, picture }: Call, cut: CutOrder, signal = new AbortController().signal): Promise<Ended> {
    return { task, ending: await this.#o.tiled.run(task, picture, cut, signal) };
  }
}

/** A call does not wait for regions that are gone; it is told why no other one does it. */
function noPlace({ allowed }: Territory): Failure {
  const message = `no region that the residency rules allow can run it now: ${[...allowed].join(', ')}`;
  return new Failure('UNAVAILABLE', message, { reason: 'RESIDENCY_UNAVAILABLE', retryDelayMs: NO_PLACE_RETRY_MS });
}

/**
 * What a repeated call must agree in. The model as it was asked for, not the version that it stands for now: between two
 * tries of one call an alias may move, or a model be replaced.
 */
function fingerprint(model: string, { task, tiling }: Call): string {
  const { work, pictureDigest } = task;
  const tiles = tiling === undefined ? '' : JSON.stringify(tiling);
  return `${work.priority} ${JSON.stringify(model)} ${work.asked.text} ${Buffer.from(pictureDigest).toString('base64')}${tiles}`;
}
