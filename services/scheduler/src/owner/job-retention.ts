import type { Clock, Component, Logger, Timer } from '@meridian/runtime';
import type { JobIndex } from '../jobs/job-index.ts';
import type { JobStore } from '../outbound/job-store.ts';
import { diskBudgetFull } from '../spool/budget.ts';
import type { Spool } from '../spool/spool.ts';
import { digestNames } from './job-work.ts';

export interface JobRetentionOptions {
  readonly index: JobIndex;
  readonly store: JobStore;
  readonly spool: Spool;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of the stream JOBS that jobs may use. Below the stream's own limit, so that accepted jobs can always finish. */
  readonly streamBudgetBytes: number;
  readonly openTasks: () => number;
}

const INTERVAL_MS = 5000;
/** A result with a hundred objects, its envelope and its attempts. */
const RESULT_BYTES = 16 * 1024;
/** Jobs purged in one round: each is a request to the broker. */
const PURGED_MAX = 100;

/**
 * Disk use of jobs over time.
 *
 * 1. What an accepted job will still write is counted before it is written: at the budget new jobs are refused, and
 *    accepted ones finish.
 * 2. An ended job goes `jobRetentionMs` after its end, all of it: record, results, idempotency, pictures nobody else needs.
 */
export class JobRetention implements Component {
  readonly name = 'job retention';
  readonly #o: JobRetentionOptions;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;
  #streamBytes = 0;

  constructor(options: JobRetentionOptions) {
    this.#o = options;
  }

  async start(): Promise<void> {
    await this.#round();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#running;
  }

  /** @throws Failure RESOURCE_EXHAUSTED / DISK_BUDGET with a retry delay. */
  async admit(headerBytes: number, tasks: number): Promise<void> {
    const { store, streamBudgetBytes, openTasks } = this.#o;
    this.#streamBytes = await store.streamBytes();
    const promised = (openTasks() + tasks) * RESULT_BYTES;
    // The record is written again when the job ends, before the first one is dropped.
    if (this.#streamBytes + promised + 2 * headerBytes > streamBudgetBytes) throw diskBudgetFull('job records');
  }

  #round(): Promise<void> {
    this.#running = this.#purge().catch((error: unknown) => {
      this.#o.logger.warn({ err: error }, 'ended jobs could not be purged; trying again');
    });
    return this.#running.then(() => {
      if (!this.#stopped) this.#timer = this.#o.clock.setTimer(INTERVAL_MS, () => void this.#round());
    });
  }

  async #purge(): Promise<void> {
    const { index, store, spool, clock, logger } = this.#o;
    for (const job of index.due(clock.nowMs()).slice(0, PURGED_MAX)) {
      if (this.#stopped) return;
      await store.purge(job.facts.jobId, job.deadLetters);
      index.remove(job);
      spool.release(digestNames(job.pictures), false);
      logger.info({ jobId: job.facts.jobId }, 'job purged after its retention');
    }
    await spool.sweep();
  }
}
