import { type JobHeader, JobState } from '@meridian/contracts/recognition';
import { hasType } from '@meridian/messaging';
import type { Logger } from '@meridian/runtime';
import { factsOf, picturesOf } from '../codec/job-record.ts';
import { Job } from '../jobs/job.ts';
import { parseTaskId } from '../jobs/job-id.ts';
import type { JobIndex } from '../jobs/job-index.ts';
import type { JobStore, StoredJob, StoredRecord } from '../outbound/job-store.ts';
import type { Spool } from '../spool/spool.ts';
import type { Cause } from '../tasks/task.ts';
import type { JobEndings } from './job-endings.ts';
import type { JobIntake } from './job-intake.ts';
import { digestNames } from './job-work.ts';

export interface JobRecoveryOptions {
  readonly store: JobStore;
  readonly index: JobIndex;
  readonly spool: Spool;
  readonly intake: JobIntake;
  readonly endings: JobEndings;
  readonly logger: Logger;
  readonly retentionMs: number;
}

interface Result {
  readonly index: number;
  readonly sequence: number;
  readonly succeeded: boolean;
  readonly atMs: number;
}

/** What the stream says of one job. */
interface Found {
  job?: Job;
  /** Kept only while the job runs: ended ones need no names. */
  header?: JobHeader;
  state: JobState;
  endAnnounced: boolean;
  purgeAfterMs: number;
  endedMs: number;
  readonly results: Result[];
  readonly deadLetters: string[];
  lastResult?: Cause;
}

/**
 * Reads back all jobs at start: what is final stays final, what is open is placed anew with this life's higher fences,
 * what was on its way to its end is brought there.
 */
export async function recoverJobs(options: JobRecoveryOptions): Promise<{ running: number; ended: number }> {
  const found = new Map<string, Found>();
  for await (const stored of options.store.load()) take(found, stored, options.retentionMs);
  const counts = { running: 0, ended: 0 };
  for (const [jobId, one] of found) {
    if (one.job === undefined) {
      options.logger.warn({ jobId, results: one.results.length }, 'results without a job are removed');
      await options.store.purge(jobId, one.deadLetters);
      continue;
    }
    restore(one.job, one, options);
    if (one.job.isOver) counts.ended++;
    else counts.running++;
  }
  return counts;
}

function take(found: Map<string, Found>, stored: StoredRecord, retentionMs: number): void {
  if (hasType(stored, 'meridian.job.record.v1')) {
    takeJob(entryOf(found, stored.data.job?.jobId ?? ''), stored, retentionMs);
  } else if (hasType(stored, 'meridian.job.dead-letter.v1')) {
    const taskId = stored.data.claim?.taskId ?? '';
    entryOf(found, parseTaskId(taskId)?.jobId ?? '').deadLetters.push(taskId);
  } else if (hasType(stored, 'meridian.job.task.v1') && stored.data.result !== undefined) {
    const { jobId, index, outcome } = stored.data.result;
    const { sequence, envelope } = stored;
    const one = entryOf(found, jobId);
    one.results.push({ index, sequence, succeeded: outcome.case === 'recognition', atMs: envelope.timeMs });
    // In order of sequence: the last one stays.
    one.lastResult = { id: envelope.id, vector: envelope.vector };
  }
}

function takeJob(one: Found, { data, sequence, envelope }: StoredJob, retentionMs: number): void {
  const facts = factsOf(data, retentionMs);
  if (facts === undefined || data.header === undefined) return;
  const cause = { id: envelope.id, vector: envelope.vector };
  one.job = new Job(facts, picturesOf(data.header), { sequence, cause });
  one.state = data.job?.state ?? JobState.RUNNING;
  one.endAnnounced = data.endAnnounced;
  one.purgeAfterMs = Number(data.purgeAfterUnixMs);
  one.endedMs = Number(data.job?.finishedUnixMs ?? 0n);
  if (one.state === JobState.RUNNING) one.header = data.header;
}

function restore(job: Job, one: Found, { index, spool, intake, endings }: JobRecoveryOptions): void {
  for (const { index: at, sequence, succeeded, atMs } of one.results)
    if (at < job.tasks) job.final(job.beginWrite(), { sequence, index: at }, succeeded, atMs);
  job.lastResult = one.lastResult;
  job.deadLetters.push(...one.deadLetters);
  if (one.header !== undefined) {
    intake.run(job, one.header);
    if (job.isComplete) endings.finish(job);
    return;
  }
  index.add(job);
  spool.retain(digestNames(job.pictures));
  job.end(one.state === JobState.FINISHED ? 'finished' : 'cancelled', one.endedMs);
  job.purgeAfterMs = one.purgeAfterMs;
  if (!one.endAnnounced && one.state === JobState.CANCELLED) endings.announceCancelled(job);
}

function entryOf(found: Map<string, Found>, jobId: string): Found {
  const known = found.get(jobId);
  if (known !== undefined) return known;
  const one: Found = {
    state: JobState.RUNNING,
    endAnnounced: false,
    purgeAfterMs: 0,
    endedMs: 0,
    results: [],
    deadLetters: [],
  };
  found.set(jobId, one);
  return one;
}
