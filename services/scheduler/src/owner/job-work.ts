import { DOWNSCALED_BYTES_MIN } from '@meridian/placement';
import type { Job, JobPictures } from '../jobs/job.ts';
import { taskIdOf } from '../jobs/job-id.ts';
import { newTask, newWork, type Task, type Work } from '../tasks/task.ts';

/** Of the model's manifest, until a worker has measured it. */
const EXPECTED_SERVICE_MS = 50;

export function expectedServiceMs(manifest: unknown): number {
  const known = typeof manifest === 'object' && manifest !== null && 'expectedServiceMs' in manifest;
  const value = known ? manifest.expectedServiceMs : undefined;
  return typeof value === 'number' && value > 0 ? value : EXPECTED_SERVICE_MS;
}

export function workOf(job: Job, serviceMs: number): Work {
  const { jobId, tenant, priority, model, modelDigest, requires, asked, acceptedMs, deadlineMs } = job.facts;
  return newWork({
    key: jobId,
    jobId,
    tenant,
    priority,
    model,
    modelDigest,
    requires,
    causes: [job.record.cause],
    asked,
    acceptedMs,
    deadlineMs,
    expectedServiceMs: serviceMs,
  });
}

/** The tasks of what is not final yet. @param pixelsOf of a picture in the spool, by its name there */
export function* openTasksOf(
  job: Job,
  work: Work,
  names: readonly string[],
  pixelsOf: (digest: string) => number,
): Iterable<Task> {
  for (const index of job.openIndexes()) {
    const pictureBytes = job.pictures.sizes[index] ?? 0;
    yield newTask(work, {
      taskId: taskIdOf(job.facts.jobId, index),
      index,
      pictureName: names[index] ?? '',
      pictureDigest: job.digestOf(index),
      pictureBytes,
      picturePixels: pictureBytes < DOWNSCALED_BYTES_MIN ? 0 : pixelsOf(hex(job.digestOf(index))),
    });
  }
}

/** Digests of all different pictures, in hexadecimal: their names in the spool. */
export function digestNames({ digests }: JobPictures): ReadonlySet<string> {
  const names = new Set<string>();
  for (let at = 0; at < digests.length; at += 32) names.add(hex(digests.subarray(at, at + 32)));
  return names;
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}
