import { clone } from '@bufbuild/protobuf';
import { JobState } from '@meridian/contracts/recognition';
import { JobRecordSchema } from '@meridian/contracts/task';
import { assert, Failure } from '@meridian/failure';
import { backoffMs, type Clock, type Logger, type Random } from '@meridian/runtime';
import { jobMessage } from '../codec/job-record.ts';
import type { Job } from '../jobs/job.ts';
import type { EventPublisher, JobVerb } from '../outbound/event-publisher.ts';
import { type JobStore, lostCompareAndSet } from '../outbound/job-store.ts';
import type { Cause } from '../tasks/task.ts';
import type { PlacementNews } from './placement-news.ts';

export interface JobEndingsOptions {
  readonly region: string;
  readonly store: JobStore;
  readonly events: EventPublisher;
  readonly news: PlacementNews;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly retentionMs: number;
  readonly cancelTasks: (jobId: string) => void;
}

const RETRY = { initialMs: 50, maxMs: 2000 };

/**
 * How jobs end.
 *
 * 1. A job is finished by its results being durable, nothing else: the event may go out before the record says so, and a
 *    restarted owner finds the same end, at the same time, with the same message id.
 * 2. A job is cancelled by its record: the event follows it, and is repeated until the record says that it is out.
 * 3. Cancelling waits for results that are being written; they count.
 */
export class JobEndings {
  readonly #o: JobEndingsOptions;
  readonly #cancelling = new Map<string, Promise<void>>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #stopping = new AbortController();

  constructor(options: JobEndingsOptions) {
    this.#o = options;
  }

  stop(): void {
    this.#stopping.abort(new Failure('CANCELLED', 'the scheduler is stopping'));
  }

  /** Waits for what is being written. */
  async flush(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  /** A result of the job has become final. */
  resultStored(job: Job): void {
    if (job.isComplete && job.phase === 'running') this.finish(job);
  }

  /** All results are final. */
  finish(job: Job): void {
    assert(job.isComplete, 'a finished job has all results');
    const { retentionMs, news } = this.#o;
    job.end('finished', job.finalMs);
    job.purgeAfterMs = job.finalMs + retentionMs;
    news.flushJob(job.facts.jobId);
    this.#track(this.#announceThenRecord(job));
  }

  /** Resolves when the end is durable. A job that has ended stays as it is. @throws Failure CANCELLED while stopping. */
  async cancel(job: Job): Promise<void> {
    if (job.isOver) return;
    const { jobId } = job.facts;
    const known = this.#cancelling.get(jobId);
    if (known !== undefined) return known;
    const cancelled = this.#cancel(job).finally(() => this.#cancelling.delete(jobId));
    this.#cancelling.set(jobId, cancelled);
    this.#track(cancelled);
    return cancelled;
  }

  /** The record says cancelled, but not that the event is out. */
  announceCancelled(job: Job): void {
    this.#track(this.#recordThenAnnounced(job));
  }

  async #cancel(job: Job): Promise<void> {
    job.beginCancel();
    this.#o.cancelTasks(job.facts.jobId);
    await quiet(job);
    if (job.isComplete) return this.finish(job);
    const endedMs = this.#o.clock.nowMs();
    await this.#replace(job, 'cancelled', endedMs, false, [job.lastResult ?? job.record.cause]);
    job.end('cancelled', endedMs);
    job.purgeAfterMs = endedMs + this.#o.retentionMs;
    this.#o.news.flushJob(job.facts.jobId);
    this.announceCancelled(job);
  }

  async #announceThenRecord(job: Job): Promise<void> {
    const cause = job.lastResult ?? job.record.cause;
    const event = await this.#announce('finished', job, cause);
    await this.#replace(job, 'finished', job.endedMs, true, [event ?? cause]);
  }

  async #recordThenAnnounced(job: Job): Promise<void> {
    const event = await this.#announce('cancelled', job, job.record.cause);
    await this.#replace(job, 'cancelled', job.endedMs, true, [event ?? job.record.cause]);
  }

  #announce(verb: JobVerb, job: Job, cause: Cause): Promise<Cause | undefined> {
    return this.#o.events.job(verb, jobMessage(job, this.#o.region), [cause]);
  }

  async #replace(
    job: Job,
    phase: 'finished' | 'cancelled',
    endedMs: number,
    endAnnounced: boolean,
    causes: readonly Cause[],
  ): Promise<void> {
    const { store, retentionMs, region } = this.#o;
    await this.#untilDone(job, async () => {
      const stored = await store.record(job.facts.jobId);
      if (stored === undefined) return;
      const record = clone(JobRecordSchema, stored.data);
      record.endAnnounced = endAnnounced;
      record.purgeAfterUnixMs = BigInt(Math.round(endedMs + retentionMs));
      const state = phase === 'finished' ? JobState.FINISHED : JobState.CANCELLED;
      record.job = { ...jobMessage(job, region), state, finishedUnixMs: BigInt(Math.round(endedMs)) };
      job.record = await store.replace(job.facts.jobId, record, stored.sequence, causes);
    });
  }

  /** Tries until it works or the process stops: what it writes decides nothing that results do not say already. */
  async #untilDone(job: Job, write: () => Promise<void>): Promise<void> {
    const { clock, random, logger } = this.#o;
    for (let attempt = 0; ; attempt++) {
      this.#stopping.signal.throwIfAborted();
      try {
        return await write();
      } catch (error) {
        const level = attempt === 0 && !lostCompareAndSet(error) ? 'warn' : 'debug';
        logger[level]({ err: error, jobId: job.facts.jobId, attempt }, 'the end of a job is not recorded yet');
        await clock.sleep(backoffMs(attempt, RETRY, random), this.#stopping.signal);
      }
    }
  }

  #track(work: Promise<void>): void {
    const tracked = work.catch((error: unknown) => {
      if (!this.#stopping.signal.aborted) this.#o.logger.error({ err: error }, 'the end of a job was not recorded');
    });
    this.#underWay.add(tracked);
    void tracked.finally(() => this.#underWay.delete(tracked));
  }
}

function quiet(job: Job): Promise<void> {
  if (job.isQuiet) return Promise.resolve();
  return new Promise((resolve) => {
    const stop = job.onChange(() => {
      if (!job.isQuiet) return;
      stop();
      resolve();
    });
  });
}
