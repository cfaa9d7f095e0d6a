import { create } from '@bufbuild/protobuf';
import { type JobHeader, type Job as JobMessage, JobSchema, JobState } from '@meridian/contracts/recognition';
import type { JobRecord } from '@meridian/contracts/task';
import { decodeRecords, modelKey, type RequiredRecord } from '@meridian/replica';
import { NOWHERE, type ResidencyRule, ruleOf } from '@meridian/residency';
import type { Job, JobFacts, JobPhase, JobPictures } from '../jobs/job.ts';
import { type AskedRules, askedRules, onlyOf } from '../placement/residency.ts';
import { priorityName, priorityValue } from './priority.ts';

const STATES: Readonly<Record<JobPhase, JobState>> = {
  running: JobState.RUNNING,
  // Until the cancellation is durable the job runs: a crash in between lets it go on.
  cancelling: JobState.RUNNING,
  finished: JobState.FINISHED,
  cancelled: JobState.CANCELLED,
};

/** A job as callers and consumers see it. */
export function jobMessage(job: Job, entryRegion: string): JobMessage {
  const { jobId, tenant, priority, model, modelDigest, acceptedMs } = job.facts;
  return create(JobSchema, {
    jobId,
    tenant,
    priority: priorityValue(priority),
    model,
    modelDigest,
    state: STATES[job.phase],
    tasks: job.tasks,
    succeeded: job.succeeded,
    failed: job.failed,
    acceptedUnixMs: BigInt(acceptedMs),
    finishedUnixMs: BigInt(Math.round(job.endedMs)),
    entryRegion,
  });
}

export function picturesOf(header: JobHeader): JobPictures {
  const digests = new Uint8Array(32 * header.pictures.length);
  const sizes = new Uint32Array(header.pictures.length);
  for (const [i, { digest, sizeBytes }] of header.pictures.entries()) {
    digests.set(digest.subarray(0, 32), 32 * i);
    sizes[i] = sizeBytes;
  }
  return { digests, sizes };
}

/** @returns undefined for a record that cannot have been written by a scheduler. */
export function factsOf(record: JobRecord, retentionMs: number): JobFacts | undefined {
  const { job, header } = record;
  const priority = job && priorityName(job.priority);
  if (job === undefined || header === undefined || priority === undefined) return undefined;
  const requires = requiredOf(record, job.model);
  if (requires === undefined) return undefined;
  const acceptedMs = Number(job.acceptedUnixMs);
  return {
    jobId: job.jobId,
    tenant: job.tenant,
    priority,
    model: job.model,
    modelDigest: job.modelDigest,
    acceptedMs,
    deadlineMs: deadlineOf(header, acceptedMs, retentionMs),
    headerDigest: Buffer.from(record.headerDigest).toString('hex'),
    requires,
    asked: askedOf(record, header),
  };
}

/** What cannot be read any more allows nothing: the job is kept, and waits. */
function askedOf({ residency }: JobRecord, header: JobHeader): AskedRules {
  return askedRules([
    { of: 'the call', rule: readRule(residency) },
    { of: 'the message', rule: onlyOf(header.residency) },
  ]);
}

function readRule(message: JobRecord['residency']): ResidencyRule {
  try {
    return ruleOf(message);
  } catch {
    return NOWHERE;
  }
}

/** Records of an earlier release name the model's dot only. */
function requiredOf({ requiredRecords, requires }: JobRecord, model: string): RequiredRecord[] | undefined {
  const wire = requiredRecords.length > 0 ? requiredRecords : requires.map((dot) => ({ key: modelKey(model), dot }));
  try {
    return decodeRecords(wire);
  } catch {
    return undefined;
  }
}

/** 0 in the header means: as long as the job would be kept. */
export function deadlineOf(header: JobHeader, acceptedMs: number, retentionMs: number): number {
  return header.deadlineUnixMs === 0n ? acceptedMs + retentionMs : Number(header.deadlineUnixMs);
}
