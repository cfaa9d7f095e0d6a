import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  CancelJobRequest,
  CancelJobResponseSchema,
  GetJobRequest,
  GetJobResponseSchema,
  ListJobsRequest,
  ListJobsResponseSchema,
  WatchJobRequest,
  WatchJobResponseSchema,
} from '@meridian/contracts/recognition';
import { Failure } from '@meridian/failure';
import type { CallContext } from '@meridian/rpc';
import { jobMessage } from '../codec/job-record.ts';
import type { Job } from '../jobs/job.ts';
import type { JobIndex } from '../jobs/job-index.ts';
import type { JobStore } from '../outbound/job-store.ts';
import type { JobEndings } from '../owner/job-endings.ts';
import { tenantOf } from './tenant.ts';

export interface JobsOptions {
  readonly region: string;
  readonly index: JobIndex;
  readonly store: JobStore;
  readonly endings: JobEndings;
  /** The owner has read its jobs back. */
  readonly started: () => boolean;
}

type Update = MessageInitShape<typeof WatchJobResponseSchema>;

const LIST_DEFAULT = 100;
const LIST_MAX = 1000;
/** Results read ahead of a watcher: what one watcher can make us hold. */
const BATCH_MAX = 32;

/** `GetJob`, `ListJobs`, `WatchJob` and `CancelJob`. */
export class JobsHandlers {
  readonly #o: JobsOptions;

  constructor(options: JobsOptions) {
    this.#o = options;
  }

  async getJob(request: GetJobRequest): Promise<MessageInitShape<typeof GetJobResponseSchema>> {
    return { job: jobMessage(this.#find(request), this.#o.region) };
  }

  async listJobs({ tenant, limit }: ListJobsRequest): Promise<MessageInitShape<typeof ListJobsResponseSchema>> {
    if (limit > LIST_MAX)
      throw new Failure('INVALID_ARGUMENT', `limit: expected at most ${LIST_MAX}`, { reason: 'LIMIT_INVALID' });
    const jobs = this.#o.index.list(tenantOf(tenant), limit || LIST_DEFAULT);
    return { jobs: jobs.map((job) => jobMessage(job, this.#o.region)) };
  }

  async cancelJob(request: CancelJobRequest): Promise<MessageInitShape<typeof CancelJobResponseSchema>> {
    const job = this.#find(request);
    await this.#o.endings.cancel(job);
    return { job: jobMessage(job, this.#o.region) };
  }

  /**
   * Results after the cursor, from the stream in batches, then live ones as they become final, then the job.
   * The cursor is a result's sequence in the stream: it means the same after any restart.
   */
  async *watchJob(request: WatchJobRequest, context: CallContext): AsyncGenerator<Update> {
    const { store, region } = this.#o;
    const job = this.#find(request);
    const change = new Change(job, [context.signal, context.draining]);
    let cursor = Number(request.cursor);
    try {
      for (;;) {
        const next = change.next();
        const batch = job.resultsAfter(cursor, BATCH_MAX);
        const results = await Promise.all(batch.map(({ index }) => store.result(job.facts.jobId, index)));
        for (const [i, { sequence }] of batch.entries()) {
          const value = results[i];
          if (value === undefined) break;
          cursor = sequence;
          yield { cursor: BigInt(sequence), update: { case: 'result', value } };
        }
        if (batch.length > 0) continue;
        if (job.isOver) break;
        context.signal.throwIfAborted();
        if (context.draining.aborted) throw stopping();
        await next;
      }
      yield { cursor: BigInt(cursor), update: { case: 'job', value: jobMessage(job, region) } };
    } finally {
      change.close();
    }
  }

  #find({ tenant, jobId }: { readonly tenant: string; readonly jobId: string }): Job {
    if (!this.#o.started())
      throw new Failure('UNAVAILABLE', 'the scheduler is starting', { reason: 'STARTING', retryDelayMs: 500 });
    return this.#o.index.get(tenantOf(tenant), jobId);
  }
}

function stopping(): Failure {
  return new Failure('UNAVAILABLE', 'the scheduler is stopping: watch again with the last cursor', {
    reason: 'STOPPING',
  });
}

/** Waits for the next change of a job, or for the end of the watch. */
class Change {
  readonly #stop: () => void;
  #next = Promise.withResolvers<void>();

  constructor(job: Job, ends: readonly AbortSignal[]) {
    const changed = (): void => {
      this.#next.resolve();
      this.#next = Promise.withResolvers();
    };
    const unlisten = job.onChange(changed);
    for (const end of ends) end.addEventListener('abort', changed, { once: true });
    this.#stop = () => {
      unlisten();
      for (const end of ends) end.removeEventListener('abort', changed);
    };
  }

  /** Resolves with the first change after this call. */
  next(): Promise<void> {
    return this.#next.promise;
  }

  close(): void {
    this.#stop();
  }
}
