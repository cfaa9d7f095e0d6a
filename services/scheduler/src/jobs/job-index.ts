import { Failure } from '@meridian/failure';
import type { Job } from './job.ts';
import { regionOfJob } from './job-id.ts';

export interface JobIndexLimits {
  /** Jobs that are kept, ended ones included. */
  readonly jobsMax: number;
  /** Tasks of all of them: about 100 bytes each. */
  readonly tasksMax: number;
}

/** All jobs that this owner keeps, by id and by tenant. */
export class JobIndex {
  readonly #limits: JobIndexLimits;
  readonly #region: string;
  readonly #byId = new Map<string, Job>();
  /** In order of acceptance. */
  readonly #byTenant = new Map<string, Job[]>();
  #tasks = 0;

  constructor(region: string, limits: JobIndexLimits) {
    this.#region = region;
    this.#limits = limits;
  }

  get size(): number {
    return this.#byId.size;
  }

  find(jobId: string): Job | undefined {
    return this.#byId.get(jobId);
  }

  /**
   * @throws Failure NOT_FOUND / JOB_UNKNOWN, also for another tenant's job; JOB_ELSEWHERE for one of another region,
   * which it names.
   */
  get(tenant: string, jobId: string): Job {
    const job = this.#byId.get(jobId);
    if (job !== undefined && job.facts.tenant === tenant) return job;
    const region = regionOfJob(jobId);
    const shown = JSON.stringify(jobId.slice(0, 100));
    if (region !== undefined && region !== this.#region)
      throw new Failure('NOT_FOUND', `job ${shown} was accepted in region ${region}: ask there`, {
        reason: 'JOB_ELSEWHERE',
        details: { region },
      });
    throw new Failure('NOT_FOUND', `there is no job ${shown}; ended jobs are kept for their retention only`, {
      reason: 'JOB_UNKNOWN',
    });
  }

  /** Newest first. */
  list(tenant: string, limit: number): readonly Job[] {
    return (this.#byTenant.get(tenant) ?? []).slice(-limit).reverse();
  }

  /** @throws Failure RESOURCE_EXHAUSTED / JOBS_FULL. Retryable once jobs have been purged. */
  admit(jobs: number, tasks: number): void {
    const { jobsMax, tasksMax } = this.#limits;
    if (this.#byId.size + jobs <= jobsMax && this.#tasks + tasks <= tasksMax) return;
    const message = `${this.#byId.size} jobs with ${this.#tasks} tasks are kept, the limits are ${jobsMax} and ${tasksMax}`;
    throw new Failure('RESOURCE_EXHAUSTED', message, { reason: 'JOBS_FULL', retryDelayMs: FULL_RETRY_MS });
  }

  add(job: Job): void {
    if (this.#byId.has(job.facts.jobId)) return;
    this.#byId.set(job.facts.jobId, job);
    this.#tasks += job.tasks;
    const jobs = this.#byTenant.get(job.facts.tenant) ?? [];
    this.#byTenant.set(job.facts.tenant, jobs);
    // Almost always the newest; recovery brings them in the order of their last records.
    const at = jobs.findLastIndex((other) => other.facts.acceptedMs <= job.facts.acceptedMs);
    jobs.splice(at + 1, 0, job);
  }

  remove(job: Job): void {
    if (!this.#byId.delete(job.facts.jobId)) return;
    this.#tasks -= job.tasks;
    const jobs = this.#byTenant.get(job.facts.tenant) ?? [];
    jobs.splice(jobs.indexOf(job), 1);
    if (jobs.length === 0) this.#byTenant.delete(job.facts.tenant);
  }

  /** Jobs whose retention is over. */
  due(nowMs: number): readonly Job[] {
    return [...this.#byId.values()].filter((job) => job.isOver && nowMs >= job.purgeAfterMs);
  }

  all(): Iterable<Job> {
    return this.#byId.values();
  }
}

const FULL_RETRY_MS = 60_000;
