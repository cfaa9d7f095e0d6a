import { Failure } from '@meridian/failure';
import type { CutOrder } from '@meridian/recognition/picture-cutter';
import type { ModelEntry } from '@meridian/replica';
import type { Clock, Component, Logger, Timer } from '@meridian/runtime';
import type { JobKeeper } from '../owner/job-keeper.ts';
import { endingOf, failureOf } from '../tasks/ending.ts';
import { type Offer, ReadyQueue } from '../tasks/ready-queue.ts';
import type { Ending, Task } from '../tasks/task.ts';
import type { TiledPictures } from './tiled-pictures.ts';
import { cutOrderFor, type TilingWish, tasksOfPicture } from './tiling-wish.ts';

export interface TiledJobsOptions {
  readonly pictures: Pick<TiledPictures, 'run'>;
  readonly jobs: Pick<JobKeeper, 'picture' | 'commit'>;
  readonly models: {
    model(name: string): ModelEntry | undefined;
    modelByDigest(digest: string): ModelEntry | undefined;
  };
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Waiting {
  readonly task: Task;
  readonly wish: TilingWish;
}

/** Pictures of jobs in tiles at a time: below TILED_PICTURES_MAX, so that calls find a place whatever jobs there are. */
export const JOB_PICTURES_MAX = 4;
/** Between two looks for pictures whose deadline has passed while they waited. */
const SWEEP_MS = 1000;
/** Endings of those that are written in one look. */
const EXPIRED_MAX = 256;
/** Until the registry names a model again that it named when the job was accepted: it is still catching up. */
const MODEL_RETRY_MS = 500;

/**
 * Pictures of jobs that are recognised in tiles.
 *
 * 1. What is durable is the picture's task: its ending is written once, by compare-and-set, as that of any task of a job.
 *    Its tiles are not; a restarted owner finds the picture open, cuts it again and asks for all of its tiles again, with
 *    fences above all before.
 * 2. A few pictures at a time are in tiles, the others wait, and take turns by class, tenant and job as tasks do.
 * 3. What is cancelled, or under way when the process stops, writes nothing.
 */
export class TiledJobs implements Component {
  readonly name = 'tiled jobs';
  readonly #o: TiledJobsOptions;
  readonly #queue = new ReadyQueue();
  readonly #waiting = new Map<string, Waiting>();
  readonly #running = new Map<string, { readonly jobId: string; readonly calledOff: AbortController }>();
  #openTasks = 0;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: TiledJobsOptions) {
    this.#o = options;
  }

  start(): Promise<void> {
    this.#sweepLater();
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#waiting.clear();
    for (const { calledOff } of this.#running.values()) calledOff.abort(new Failure('CANCELLED', 'stopping'));
    return Promise.resolve();
  }

  /** Tasks that waiting pictures will become. */
  get openTasks(): number {
    return this.#openTasks;
  }

  add(tasks: Iterable<Task>, wish: TilingWish): void {
    for (const task of tasks) {
      const { taskId, work } = task;
      this.#waiting.set(taskId, { task, wish });
      this.#openTasks += tasksOfPicture(wish);
      this.#queue.add({ taskId, jobKey: work.key, tenant: work.tenant, priority: work.priority }, false);
    }
    this.#next();
  }

  /** Its open pictures end without a record: the job's says it. */
  cancel(jobId: string): void {
    for (const { task } of [...this.#waiting.values()]) if (task.work.jobId === jobId) this.#take(task.taskId);
    for (const running of this.#running.values())
      if (running.jobId === jobId) running.calledOff.abort(new Failure('CANCELLED', 'the job was cancelled'));
  }

  #next(): void {
    if (this.#stopped) return;
    const begin = ({ taskId }: { readonly taskId: string }) => this.#begin(taskId);
    while (this.#running.size < JOB_PICTURES_MAX && this.#queue.placeNext(begin));
  }

  #begin(taskId: string): Offer {
    const waiting = this.#take(taskId);
    if (waiting === undefined) return 'gone';
    const calledOff = new AbortController();
    this.#running.set(taskId, { jobId: waiting.task.work.jobId, calledOff });
    void this.#work(waiting, calledOff.signal).finally(() => {
      this.#running.delete(taskId);
      this.#next();
    });
    return 'placed';
  }

  #take(taskId: string): Waiting | undefined {
    const waiting = this.#waiting.get(taskId);
    if (waiting === undefined) return undefined;
    this.#waiting.delete(taskId);
    this.#openTasks -= tasksOfPicture(waiting.wish);
    return waiting;
  }

  async #work({ task, wish }: Waiting, calledOff: AbortSignal): Promise<void> {
    const ending = await this.#ending(task, wish, calledOff);
    if (calledOff.aborted || ending.how === 'cancelled') return;
    await this.#o.jobs.commit(task, ending);
  }

  async #ending(task: Task, wish: TilingWish, calledOff: AbortSignal): Promise<Ending> {
    const { jobs, pictures, clock, logger } = this.#o;
    try {
      const order = await this.#order(task, wish, calledOff);
      if (order === undefined) return expired(task, clock.nowMs());
      return await pictures.run(task, await jobs.picture(task), order, calledOff);
    } catch (error) {
      if (!(error instanceof Failure)) logger.error({ err: error, taskId: task.taskId }, 'a picture was not tiled');
      const { code, reason, message } = Failure.from(error);
      const failure = { code, reason, message, retryable: false };
      return endingOf(task, 'failed', { kind: 'failure', failure }, clock.nowMs());
    }
  }

  /** @returns undefined when the deadline passed. @throws Failure FAILED_PRECONDITION / MODEL_SUPERSEDED */
  async #order({ work }: Task, wish: TilingWish, calledOff: AbortSignal): Promise<CutOrder | undefined> {
    const { models, clock } = this.#o;
    while (clock.nowMs() < work.deadlineMs) {
      const entry = models.modelByDigest(work.modelDigest);
      if (entry !== undefined) return cutOrderFor(wish, entry.name, entry.manifest);
      if (models.model(work.model) !== undefined) throw superseded(work.model);
      await clock.sleep(MODEL_RETRY_MS, calledOff);
    }
    return undefined;
  }

  #sweepLater(): void {
    this.#timer = this.#o.clock.setTimer(SWEEP_MS, () => {
      this.#sweep(this.#o.clock.nowMs());
      if (!this.#stopped) this.#sweepLater();
    });
  }

  #sweep(nowMs: number): void {
    let count = 0;
    for (const { task } of this.#waiting.values()) {
      if (nowMs < task.work.deadlineMs) continue;
      this.#take(task.taskId);
      void this.#o.jobs.commit(task, expired(task, nowMs));
      if (++count >= EXPIRED_MAX) return;
    }
  }
}

function expired(task: Task, nowMs: number): Ending {
  const outcome = failureOf('DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED', 'the deadline passed before a result was there');
  return endingOf(task, 'expired', outcome, nowMs);
}

function superseded(model: string): Failure {
  const message = `the version of ${model} that the job was accepted with was replaced before the picture was cut`;
  return new Failure('FAILED_PRECONDITION', message, { reason: 'MODEL_SUPERSEDED' });
}
