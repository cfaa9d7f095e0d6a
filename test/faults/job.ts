import { createHash } from 'node:crypto';
import { type JobDoor, type JobPicture, submitJob, watchJob } from '@meridian/cli';
import { RecognitionService, type TaskResult } from '@meridian/contracts/recognition';
import { type Channel, createClient } from '@meridian/rpc';
import { systemClock, systemRandom } from '@meridian/runtime';
import type { Answer } from './checker.ts';
import type { Picture } from './pictures.ts';

/** A job's door through a channel. */
export function jobDoor(channel: Channel): JobDoor {
  const client = createClient(RecognitionService, channel);
  return {
    submit: (parts, signal) => client.submitJob(parts, signal === undefined ? {} : { signal }),
    watch: (jobId, cursor, signal) => client.watchJob({ jobId, cursor }, signal === undefined ? {} : { signal }),
  };
}

export function jobPictures(pictures: readonly Picture[]): JobPicture[] {
  return pictures.map((picture) => ({
    name: picture.name,
    digest: createHash('sha256').update(picture.bytes).digest(),
    sizeBytes: picture.bytes.length,
    read: async function* () {
      yield picture.bytes;
    },
  }));
}

export interface FinishedJob {
  readonly jobId: string;
  readonly answers: readonly Answer[];
  readonly regions: ReadonlyMap<string, number>;
  /** Tasks that took more than one placement. */
  readonly replaced: number;
  readonly replacedTasks: readonly string[];
  readonly durationMs: number;
}

/** Submits, watches to the end, and calls `onResult` with the number of results so far. */
export async function runJob(options: {
  readonly channel: Channel;
  readonly pictures: readonly Picture[];
  readonly model: string;
  readonly key: string;
  readonly onResult: (count: number, jobId: string) => void;
}): Promise<FinishedJob> {
  const ports = { door: jobDoor(options.channel), clock: systemClock, random: systemRandom };
  const jobId = await submitJob({
    ...ports,
    header: { idempotencyKey: options.key, model: options.model },
    pictures: jobPictures(options.pictures),
  });
  const startedMs = systemClock.monotonicMs();
  const answers: Answer[] = [];
  const regions = new Map<string, number>();
  const replacedTasks: string[] = [];
  for await (const update of watchJob({ ...ports, jobId })) {
    if (update.kind !== 'result') continue;
    answers.push(answerOf(update.result));
    regions.set(update.result.region, (regions.get(update.result.region) ?? 0) + 1);
    if (update.result.attempts > 1) replacedTasks.push(update.result.taskId);
    options.onResult(answers.length, jobId);
  }
  return {
    jobId,
    answers,
    regions,
    replaced: replacedTasks.length,
    replacedTasks,
    durationMs: systemClock.monotonicMs() - startedMs,
  };
}

/** Numbers are rounded to what a float on the wire keeps, so that equal recognitions give equal text. */
export function answerOf(result: TaskResult): Answer {
  const digest = Buffer.from(result.pictureDigest).toString('hex');
  if (result.outcome.case === 'error')
    return { digest, content: `${result.outcome.value.code} ${result.outcome.value.reason}` };
  if (result.outcome.case !== 'recognition') return { digest, content: 'nothing' };
  const { width, height, objects } = result.outcome.value;
  const rows = objects.map(({ label, score, box }) => {
    const corners = [box?.x0, box?.y0, box?.x1, box?.y1].map((corner) => corner?.toFixed(5));
    return `${label} ${score.toFixed(5)} ${corners.join(' ')}`;
  });
  return { digest, content: [`${width}×${height}`, ...rows].join('; ') };
}
