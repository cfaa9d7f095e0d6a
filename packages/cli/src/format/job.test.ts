import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from '@jest/globals';
import { JobSchema, JobState, TaskResultSchema } from '@meridian/contracts/recognition';
import { formatJobs, JobTally } from './job.ts';

const job = create(JobSchema, {
  jobId: 'beijing-1',
  state: JobState.FINISHED,
  tasks: 13,
  succeeded: 2,
  failed: 11,
  model: 'centernet-320',
  acceptedUnixMs: 1_000_000_000_000n,
  finishedUnixMs: 1_000_000_002_000n,
});
const ran = (region: string, totalMs: number, attempts: number) =>
  create(TaskResultSchema, {
    ...{ taskId: `beijing-1/${region}`, region, attempts },
    timings: { totalMs },
    outcome: { case: 'recognition', value: {} },
  });
const failed = (index: number) =>
  create(TaskResultSchema, {
    index,
    attempts: 1,
    outcome: { case: 'error', value: { code: 'INVALID_ARGUMENT', reason: 'PICTURE_FORMAT', message: 'not a picture' } },
  });

describe('JobTally', () => {
  test('sums up per region, counts what was placed again, and lists the first failures', () => {
    const tally = new JobTally();
    for (const result of [ran('shanghai', 300, 2), ran('beijing', 100, 1)]) tally.add(result);
    for (let i = 0; i < 11; i++) tally.add(failed(i));
    expect(tally.total).toBe(13);
    const lines = tally.summary(job).split('\n');
    expect(lines[0]).toBe(
      'job beijing-1 finished: 2 of 13 recognised, 11 failed, 1 placed more than once in 2,000 ms, 1 pictures/s',
    );
    expect(lines[1]).toBe('  to see the attempts of one of them: ./meridian trace beijing-1/shanghai');
    expect(lines[4]).toMatch(/^beijing +1 +100 ms +100 ms +100 ms$/);
    expect(lines[5]).toMatch(/^shanghai +1 +300 ms/);
    expect(lines.at(-1)).toBe('  … and 1 more');
    expect(lines.at(-2)).toBe('  picture 9: INVALID_ARGUMENT / PICTURE_FORMAT: not a picture');
  });
});

test('formatJobs', () => {
  expect(formatJobs([])).toBe('no jobs');
  expect(formatJobs([job])).toMatch(/beijing-1 +finished +13 +2 +11 +centernet-320 .* 2,000 ms$/);
});
