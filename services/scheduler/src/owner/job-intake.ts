import { create } from '@bufbuild/protobuf';
import { formatDot } from '@meridian/causality';
import { type JobHeader, JobState } from '@meridian/contracts/recognition';
import { type JobRecord, JobRecordSchema } from '@meridian/contracts/task';
import { assert, Failure } from '@meridian/failure';
import { encodeRecord, type ModelEntry, type RequiredRecord } from '@meridian/replica';
import { type ResidencyRule, ruleMessage } from '@meridian/residency';
import type { Clock, Logger } from '@meridian/runtime';
import { factsOf, jobMessage, picturesOf } from '../codec/job-record.ts';
import { priorityName, priorityValue } from '../codec/priority.ts';
import { keyReused } from '../jobs/idempotency.ts';
import { Job, type RecordRef } from '../jobs/job.ts';
import type { JobIndex } from '../jobs/job-index.ts';
import type { EventPublisher } from '../outbound/event-publisher.ts';
import type { JobStore } from '../outbound/job-store.ts';
import type { Spool } from '../spool/spool.ts';
import type { Cause, Task } from '../tasks/task.ts';
import { type TilingWish, tilingWish } from '../tiling/tiling-wish.ts';
import { digestNames, expectedServiceMs, openTasksOf, workOf } from './job-work.ts';

export interface JobIntakeOptions {
  readonly region: string;
  readonly index: JobIndex;
  readonly store: JobStore;
  readonly spool: Spool;
  readonly events: EventPublisher;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly retentionMs: number;
  readonly modelByDigest: (digest: string) => ModelEntry | undefined;
  readonly add: (tasks: Iterable<Task>) => void;
  readonly addTiled: (tasks: Iterable<Task>, wish: TilingWish) => void;
}

/** A checked submission whose pictures are all in the spool. */
export interface Submission {
  readonly jobId: string;
  readonly tenant: string;
  readonly header: JobHeader;
  /** That came in the metadata, beside the header's. */
  readonly rule: ResidencyRule;
  readonly headerDigest: Buffer;
  readonly model: ModelEntry;
  readonly requires: readonly RequiredRecord[];
  readonly causes: readonly Cause[];
}

/**
 * How a job begins.
 *
 * 1. Accepted means: every picture and its name are on the disk, and the record is in the stream. Only then it has tasks.
 * 2. One id is one job: of several submissions at once, one creates it and the others find it.
 */
export class JobIntake {
  readonly #o: JobIntakeOptions;
  readonly #accepting = new Map<string, Promise<Job>>();

  constructor(options: JobIntakeOptions) {
    this.#o = options;
  }

  /**
   * The job that the submission stands for, if it was accepted before.
   * @throws Failure ALREADY_EXISTS / IDEMPOTENCY_KEY_REUSED
   */
  known(jobId: string, headerDigest: Buffer): Job | undefined {
    const job = this.#o.index.find(jobId);
    if (job !== undefined && job.facts.headerDigest !== headerDigest.toString('hex')) throw keyReused();
    return job;
  }

  /** Idempotent. @throws Failure ALREADY_EXISTS / IDEMPOTENCY_KEY_REUSED, UNAVAILABLE, ABORTED / PICTURES_MISSING. */
  async accept(submission: Submission): Promise<Job> {
    const { jobId, headerDigest } = submission;
    const before = this.#accepting.get(jobId);
    if (before !== undefined) await before.catch(() => undefined);
    const known = this.known(jobId, headerDigest);
    if (known !== undefined) return known;
    const accepting = this.#accept(submission).finally(() => this.#accepting.delete(jobId));
    this.#accepting.set(jobId, accepting);
    return accepting;
  }

  /** A job with open tasks that is in the stream: after it was created, or found at start. */
  run(job: Job, header: JobHeader): void {
    const { index, spool, add, addTiled, modelByDigest } = this.#o;
    index.add(job);
    const model = modelByDigest(job.facts.modelDigest);
    const work = workOf(job, expectedServiceMs(model?.manifest));
    const names = header.pictures.map(({ name }) => name);
    spool.retain(digestNames(job.pictures));
    this.#announce(job);
    const wish = tilingWish(header.tiling);
    const tasks = openTasksOf(job, work, names, (digest) => spool.pixelsOf(digest));
    if (wish === undefined) add(tasks);
    else addTiled(tasks, wish);
  }

  async #accept(submission: Submission): Promise<Job> {
    const { spool, store } = this.#o;
    const { jobId, header, headerDigest } = submission;
    await spool.settle();
    const pictures = picturesOf(header);
    const names = digestNames(pictures);
    for (const name of names)
      if (spool.sizeOf(name) === undefined)
        throw new Failure('ABORTED', 'pictures of the job are missing; send the header again', {
          reason: 'PICTURES_MISSING',
        });
    // Held by this submission until the job holds them by itself.
    spool.retain(names);
    try {
      const record = recordOf(submission, this.#o.region, this.#o.clock.nowMs());
      const ref = await store.create(jobId, record, submission.causes);
      if (ref === undefined) return await this.#adopt(jobId, headerDigest);
      return this.#begin(record, ref, header);
    } finally {
      spool.release(names, true);
    }
  }

  #begin(record: JobRecord, ref: RecordRef, header: JobHeader): Job {
    const facts = factsOf(record, this.#o.retentionMs);
    assert(facts !== undefined, 'a record that was just made is complete');
    const job = new Job(facts, picturesOf(header), ref);
    this.run(job, header);
    return job;
  }

  /** The record is there, but this process does not know the job: the PubAck of an earlier try was lost. */
  async #adopt(jobId: string, headerDigest: Buffer): Promise<Job> {
    const { store, retentionMs } = this.#o;
    const stored = await store.record(jobId);
    const facts = stored && factsOf(stored.data, retentionMs);
    const header = stored?.data.header;
    if (stored === undefined || facts === undefined || header === undefined)
      throw new Failure('ABORTED', 'the job is just being purged; send the header again', { reason: 'JOB_PURGED' });
    if (facts.headerDigest !== headerDigest.toString('hex')) throw keyReused();
    const job = new Job(facts, picturesOf(header), { sequence: stored.sequence, cause: stored.envelope });
    this.run(job, header);
    return job;
  }

  /** Says that the job is accepted; after a restart again, with the same message id. */
  #announce(job: Job): void {
    const { events, region } = this.#o;
    void events.job('accepted', jobMessage(job, region), [job.record.cause]).then((event) => {
      job.acceptedEvent = event;
    });
  }
}

function recordOf(submission: Submission, entryRegion: string, nowMs: number): JobRecord {
  const { jobId, tenant, header, rule, headerDigest, model, requires } = submission;
  const residency = ruleMessage(rule);
  return create(JobRecordSchema, {
    job: {
      jobId,
      tenant,
      priority: priorityValue(priorityName(header.priority) ?? 'normal'),
      model: model.name,
      modelDigest: model.digest,
      state: JobState.RUNNING,
      tasks: header.pictures.length,
      acceptedUnixMs: BigInt(Math.round(nowMs)),
      entryRegion,
    },
    header,
    requires: requires.map(({ dot }) => formatDot(dot)),
    requiredRecords: requires.map(encodeRecord),
    headerDigest,
    ...(residency !== undefined && { residency }),
  });
}
