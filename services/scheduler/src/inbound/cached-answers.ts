import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { VersionVector } from '@meridian/causality';
import { CachedAnswerSchema, TaskResultSchema, TimingsSchema } from '@meridian/contracts/recognition';
import { attributeNames, type Clock, type Component, type Timer } from '@meridian/runtime';
import type { Context } from '@opentelemetry/api';
import { cacheKey, type Parameters } from '../cache/cache-key.ts';
import { Flights } from '../cache/flights.ts';
import type { CachedResult, ResultCache } from '../cache/result-cache.ts';
import type { Answer } from '../codec/task-result.ts';
import type { Metrics } from '../metrics.ts';
import type { TaskTracer } from '../outbound/task-tracer.ts';
import type { Task } from '../tasks/task.ts';
import { type Patience, within } from './waiting.ts';

export interface CachedAnswersOptions {
  /** undefined: turned off. */
  readonly cache: ResultCache | undefined;
  readonly metrics: Pick<Metrics, 'cacheLookups'>;
  readonly tracer: Pick<TaskTracer, 'cachedTask'>;
  readonly clock: Clock;
  /** Whether the tenant's residency rule, as it is now, allows its answers here. */
  readonly mayKeep: (tenant: string) => boolean;
  readonly used?: (outcome: CacheUses) => void;
}

/** What became of a call that could ask the cache. */
export type CacheUses = 'hit' | 'miss' | 'shared' | 'bypassed';

/** `none`: neither looked up nor kept; `store`: worked on, then kept. */
export type CacheUse = 'none' | 'store' | 'full';

/** What is asked; `task` is what would be run. */
export interface CachedCall extends Patience {
  readonly task: Task;
  /** What beside picture and model the answer depends on. */
  readonly parameters: Parameters;
  readonly traceContext: Context;
  readonly cacheUse: CacheUse;
  /** What was seen of the shared state when the model of the task was chosen. */
  readonly seen: VersionVector;
}

interface Computed {
  readonly answer: Answer;
  readonly kept: CachedResult;
}

/** Between two looks for answers whose time is over, or that may not be here: not given out meanwhile, but held. */
const SWEEP_MS = 10_000;

/**
 * Answers of this region's calls, given again to calls that ask the same: same tenant, picture, version of the model.
 *
 * 1. An answer is kept under the version that gave it, and looked for under the one that the call's alias or model means
 *    here at that moment. So no call gets the answer of another version than it would have been run with.
 * 2. Failures are not kept. Calls that ask the same at the same time share one run, and its failure unless that is the
 *    deadline or the leaving of the one that began it.
 * 3. Who gets another task's answer is told so, and which, and what of the shared state it comes from. No task is made
 *    for it: it takes no placement, no worker and no fence.
 * 4. Nothing is put that the tenant's rule does not allow here; what a later rule forbids is dropped within SWEEP_MS, and is not
 *    given out meanwhile: its calls are refused before they are looked up.
 * 5. Only runs of the same priority and residency rule are shared: nobody waits behind less urgent work.
 */
export class CachedAnswers implements Component {
  readonly name = 'result cache';
  readonly #o: CachedAnswersOptions;
  readonly #flights = new Flights<Computed>();
  #timer: Timer | undefined;

  constructor(options: CachedAnswersOptions) {
    this.#o = options;
  }

  start(): Promise<void> {
    if (this.#o.cache !== undefined) this.#sweepLater(this.#o.cache);
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#timer?.cancel();
    return Promise.resolve();
  }

  /** @param compute runs the call's task */
  async answer(call: CachedCall, compute: () => Promise<Answer>): Promise<Answer> {
    const { cache, clock } = this.#o;
    if (cache === undefined) return compute();
    if (call.cacheUse === 'none') {
      this.#count('bypassed');
      return compute();
    }
    const key = keyOf(call);
    const run = () => this.#computed(cache, key, call, compute);
    if (call.cacheUse === 'store') {
      this.#count('bypassed');
      return (await run()).answer;
    }
    const found = cache.get(key, clock.monotonicMs());
    if (found !== undefined) return this.#again(call, found, 'hit');
    const waiting = <V>(shared: Promise<V>) => within(shared, call, clock);
    const { value, shared } = await this.#flights.once(`${call.task.work.placementKey}\n${key}`, run, waiting);
    if (shared) return this.#again(call, value.kept, 'shared');
    this.#count('miss');
    return value.answer;
  }

  async #computed(
    cache: ResultCache,
    key: string,
    { task, seen }: CachedCall,
    compute: () => Promise<Answer>,
  ): Promise<Computed> {
    const { clock, mayKeep } = this.#o;
    const answer = await compute();
    const kept = {
      result: toBinary(TaskResultSchema, create(TaskResultSchema, answer)),
      tenant: task.work.tenant,
      taskId: task.taskId,
      versionVector: seen.toString(),
      computedUnixMs: clock.nowMs(),
    };
    // The rule may have become narrower while it ran.
    if (mayKeep(task.work.tenant)) cache.put(key, kept, clock.monotonicMs());
    return { answer, kept };
  }

  /** The kept answer as this call's own: its task id and times, and where it comes from. */
  #again({ task, traceContext }: CachedCall, kept: CachedResult, outcome: 'hit' | 'shared'): Answer {
    const { tracer, clock } = this.#o;
    this.#count(outcome);
    const nowMs = clock.nowMs();
    tracer.cachedTask(task, traceContext, kept.taskId, nowMs);
    const totalMs = Math.max(0, nowMs - task.work.acceptedMs);
    const { taskId, versionVector, computedUnixMs } = kept;
    const result = fromBinary(TaskResultSchema, kept.result);
    result.taskId = task.taskId;
    result.timings = create(TimingsSchema, { queueMs: totalMs, totalMs });
    const origin = { taskId, versionVector, computedUnixMs: BigInt(Math.round(computedUnixMs)) };
    result.fromCache = create(CachedAnswerSchema, origin);
    return result;
  }

  #count(outcome: CacheUses): void {
    this.#o.used?.(outcome);
    this.#o.metrics.cacheLookups.add(1, { [attributeNames.outcome]: outcome });
  }

  #sweepLater(cache: ResultCache): void {
    const { clock } = this.#o;
    this.#timer = clock.setTimer(SWEEP_MS, () => {
      cache.expire(clock.monotonicMs());
      cache.dropUnless(this.#o.mayKeep);
      this.#sweepLater(cache);
    });
  }
}

function keyOf({ task, parameters }: CachedCall): string {
  const { work, pictureDigest } = task;
  return cacheKey({ tenant: work.tenant, pictureDigest, modelDigest: work.modelDigest, parameters });
}
