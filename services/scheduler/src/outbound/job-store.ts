import type { MessageInitShape } from '@bufbuild/protobuf';
import { type Envelope, subject } from '@meridian/contracts';
import type { TaskResult } from '@meridian/contracts/recognition';
import type { DeadLetterSchema, JobRecordSchema, TaskRecord } from '@meridian/contracts/task';
import { Failure } from '@meridian/failure';
import type { MessageBus, Stored } from '@meridian/messaging';
import { backoffMs, type Clock, type Logger, type Random } from '@meridian/runtime';
import { LRUCache } from 'lru-cache';
import type { RecordRef } from '../jobs/job.ts';
import type { Cause } from '../tasks/task.ts';

export type StoredJob = Stored<'meridian.job.record.v1'>;
export type StoredRecord = Stored<'meridian.job.record.v1' | 'meridian.job.task.v1' | 'meridian.job.dead-letter.v1'>;

export interface JobStoreOptions {
  readonly bus: MessageBus;
  readonly region: string;
  readonly replica: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** How a result became final. */
export interface CommittedResult {
  readonly sequence: number;
  readonly cause: Cause;
  readonly record: TaskRecord;
  readonly atMs: number;
}

const PUBLISH_TIMEOUT_MS = 2000;
const RETRY = { initialMs: 50, maxMs: 2000 };
/** Results kept for watchers that are up to date: they are read from the stream otherwise. */
const RECENT_BYTES_MAX = 8 * 2 ** 20;
const RECENT_MAX = 4096;
/** About what a result and one of its objects take in memory. */
const RESULT_BYTES = 1024;
const OBJECT_BYTES = 256;
/** Compare-and-set of the term against another start of the same replica. */
const TERM_TRIES_MAX = 10;

/**
 * Jobs and results in the region's stream JOBS.
 *
 * 1. A result is written with compare-and-set on "nothing there": whoever comes second reads what the first wrote.
 * 2. `commit` returns only when a result of the task is surely in the stream, ours or another.
 * 3. A record of a job is replaced with compare-and-set on its last sequence: an owner that was overtaken finds out.
 */
export class JobStore {
  readonly #options: JobStoreOptions;
  readonly #recent = new LRUCache<string, TaskResult>({ max: RECENT_MAX, maxSize: RECENT_BYTES_MAX });
  readonly #stopping = new AbortController();

  constructor(options: JobStoreOptions) {
    this.#options = options;
  }

  /** Ends the retries of commits. */
  stop(): void {
    this.#stopping.abort(new Failure('CANCELLED', 'the scheduler is stopping'));
  }

  /** Raises this replica's term: its fences are above those of all its earlier lives. */
  async raiseTerm(): Promise<number> {
    const { bus, replica } = this.#options;
    const at = this.#subject('term', replica);
    for (let i = 0; i < TERM_TRIES_MAX; i++) {
      const last = await bus.getLast('JOBS', at, 'meridian.job.term.v1');
      const term = (last?.data.term ?? 0n) + 1n;
      const event = { type: 'meridian.job.term.v1' as const, data: { term }, ...(last && { causes: [last.envelope] }) };
      try {
        await bus.publishDurable(at, event, { expectedLastSubjectSequence: last?.sequence ?? 0 });
        return Number(term);
      } catch (error) {
        if (!lostCompareAndSet(error)) throw error;
      }
    }
    throw new Failure('ABORTED', 'another scheduler starts with the same replica name', { reason: 'TERM_CONTENDED' });
  }

  /** Everything that is kept, in order of sequence. */
  load(): AsyncIterable<StoredRecord> {
    return this.#options.bus.lastBySubject('JOBS', this.#subject('*', '*'), [
      'meridian.job.record.v1',
      'meridian.job.task.v1',
      'meridian.job.dead-letter.v1',
    ]);
  }

  /** @returns undefined when the job exists. */
  async create(
    jobId: string,
    data: MessageInitShape<typeof JobRecordSchema>,
    causes: readonly Cause[],
  ): Promise<RecordRef | undefined> {
    try {
      return await this.replace(jobId, data, 0, causes);
    } catch (error) {
      if (lostCompareAndSet(error)) return undefined;
      throw error;
    }
  }

  /** @throws Failure ABORTED / WRONG_SEQUENCE when somebody replaced it meanwhile. */
  async replace(
    jobId: string,
    data: MessageInitShape<typeof JobRecordSchema>,
    expected: number,
    causes: readonly Cause[],
  ): Promise<RecordRef> {
    const event = { type: 'meridian.job.record.v1' as const, data, causes, tenant: data.job?.tenant || 'public' };
    const options = { expectedLastSubjectSequence: expected, timeoutMs: PUBLISH_TIMEOUT_MS };
    const { sequence, envelope } = await this.#options.bus.publishDurable(this.#subject(jobId, 'job'), event, options);
    return { sequence, cause: envelope };
  }

  record(jobId: string): Promise<StoredJob | undefined> {
    return this.#options.bus.getLast('JOBS', this.#subject(jobId, 'job'), 'meridian.job.record.v1');
  }

  /** @throws Failure DATA_LOSS / RESULT_LOST when the stream does not have it. */
  async result(jobId: string, index: number): Promise<TaskResult> {
    const at = this.#subject(jobId, String(index));
    const known = this.#recent.get(at);
    if (known !== undefined) return known;
    const stored = await this.#options.bus.getLast('JOBS', at, 'meridian.job.task.v1');
    if (stored?.data.result === undefined)
      throw new Failure('DATA_LOSS', 'the result is gone', { reason: 'RESULT_LOST' });
    return stored.data.result;
  }

  /**
   * Makes a result final; tries until it is, or until `stop`.
   * @throws Failure CANCELLED when stopping; INVALID_ARGUMENT for a record that the stream will never take.
   */
  async commit(
    jobId: string,
    index: number,
    data: TaskRecord,
    options: { readonly causes: readonly Cause[]; readonly tenant: string },
  ): Promise<CommittedResult> {
    const at = this.#subject(jobId, String(index));
    for (let attempt = 0; ; attempt++) {
      this.#stopping.signal.throwIfAborted();
      try {
        return await this.#write(at, data, 0, options);
      } catch (error) {
        const first = lostCompareAndSet(error) ? await this.#first(at, data).catch(() => undefined) : undefined;
        if (first !== undefined) return first;
        await this.#waitBeforeRetry(error, attempt, at);
      }
    }
  }

  async deadLetter(
    taskId: string,
    data: MessageInitShape<typeof DeadLetterSchema>,
    causes: readonly Cause[],
  ): Promise<void> {
    const event = {
      type: 'meridian.job.dead-letter.v1' as const,
      data,
      causes,
      tenant: data.claim?.tenant || 'public',
    };
    await this.#options.bus.publishDurable(this.#subject('dead-letter', taskId), event);
  }

  /** Results first: a job whose record is gone is gone entirely. */
  async purge(jobId: string, deadLetters: readonly string[]): Promise<void> {
    const { bus } = this.#options;
    for (const taskId of deadLetters) await bus.purge('JOBS', this.#subject('dead-letter', taskId));
    await bus.purge('JOBS', this.#subject(jobId, '*'));
  }

  async streamBytes(): Promise<number> {
    return (await this.#options.bus.streamState('JOBS')).bytes;
  }

  async #write(
    at: string,
    data: TaskRecord,
    expected: number,
    options: { readonly causes: readonly Cause[]; readonly tenant: string },
  ): Promise<CommittedResult> {
    const { sequence, envelope } = await this.#options.bus.publishDurable(
      at,
      { type: 'meridian.job.task.v1', data, ...options },
      { expectedLastSubjectSequence: expected, timeoutMs: PUBLISH_TIMEOUT_MS },
    );
    return this.#committed(at, data, sequence, envelope);
  }

  /**
   * Somebody's result is there already: usually our own, whose PubAck was lost. Another life's is written once more, so
   * that its sequence is above all that watchers may have seen.
   */
  async #first(at: string, ours: TaskRecord): Promise<CommittedResult | undefined> {
    const stored = await this.#options.bus.getLast('JOBS', at, 'meridian.job.task.v1');
    if (stored === undefined) return undefined;
    const { data, envelope, sequence } = stored;
    if (data.fence === ours.fence) return this.#committed(at, data, sequence, envelope);
    return this.#write(at, data, sequence, { causes: [envelope], tenant: envelope.tenant });
  }

  #committed(at: string, record: TaskRecord, sequence: number, envelope: Envelope): CommittedResult {
    const { result } = record;
    if (result !== undefined) {
      const objects = result.outcome.case === 'recognition' ? result.outcome.value.objects.length : 0;
      this.#recent.set(at, result, { size: RESULT_BYTES + objects * OBJECT_BYTES });
    }
    return { sequence, cause: envelope, record, atMs: envelope.timeMs };
  }

  async #waitBeforeRetry(error: unknown, attempt: number, at: string): Promise<void> {
    const failure = Failure.from(error);
    if (failure.code === 'INVALID_ARGUMENT') throw failure;
    const { clock, random, logger } = this.#options;
    const level = attempt === 0 ? 'warn' : 'debug';
    logger[level]({ subject: at, attempt, reason: failure.reason }, 'a result is not stored yet; trying again');
    await clock.sleep(backoffMs(attempt, RETRY, random), this.#stopping.signal);
  }

  #subject(job: string, task: string): string {
    return subject('job', { origin: this.#options.region, job, task });
  }
}

export function lostCompareAndSet(error: unknown): boolean {
  return error instanceof Failure && error.reason === 'WRONG_SEQUENCE';
}
