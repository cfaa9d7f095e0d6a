import { describe, expect, test } from '@jest/globals';
import { VersionVector } from '@meridian/causality';
import { NOTHING_ASKED } from '../placement/residency.ts';
import { Job } from './job.ts';
import { jobIdOf, parseTaskId, regionOfJob, taskIdOf } from './job-id.ts';
import { JobIndex } from './job-index.ts';

function aJob(tasks = 4, overrides: Partial<Job['facts']> = {}): Job {
  const facts = {
    jobId: jobIdOf('beijing', 'public', `k${overrides.acceptedMs ?? 0}`),
    tenant: 'public',
    asked: NOTHING_ASKED,
    priority: 'normal' as const,
    model: 'm',
    modelDigest: 'd',
    acceptedMs: 0,
    deadlineMs: 100,
    headerDigest: '00',
    requires: [],
    ...overrides,
  };
  const pictures = { digests: new Uint8Array(32 * tasks), sizes: new Uint32Array(tasks) };
  return new Job(facts, pictures, { sequence: 1, cause: { id: 'e', vector: VersionVector.EMPTY } });
}

describe('Job', () => {
  test('a watcher that comes back with any cursor misses and repeats nothing', () => {
    const job = aJob(5);
    for (const [i, index] of [3, 1, 4, 0, 2].entries())
      job.final(job.beginWrite(), { sequence: 10 + 3 * i, index }, index !== 4, 50 + i);
    const all = job.resultsAfter(0, 100);
    expect(all.map(({ index }) => index)).toEqual([3, 1, 4, 0, 2]);
    for (const cursor of [0, 9, 10, 11, 13, 22, 99])
      expect(job.resultsAfter(cursor, 100)).toEqual(all.filter(({ sequence }) => sequence > cursor));
    expect(job.resultsAfter(10, 2)).toHaveLength(2);
    expect([job.succeeded, job.failed, job.isComplete, job.finalMs]).toEqual([4, 1, true, 54]);
  });

  test('an index is final once', () => {
    const job = aJob(1);
    job.final(job.beginWrite(), { sequence: 2, index: 0 }, true, 1);
    job.final(job.beginWrite(), { sequence: 3, index: 0 }, false, 2);
    expect([job.succeeded, job.failed, job.resultsAfter(0, 9).length]).toEqual([1, 0, 1]);
  });
});

describe('ids', () => {
  test('are deterministic, name their region, and differ by every part', () => {
    const id = jobIdOf('bei-jing', 'public', 'k');
    expect(id).toMatch(/^bei-jing-[a-z2-7]{26}$/);
    expect(regionOfJob(id)).toBe('bei-jing');
    expect(new Set([id, jobIdOf('bei-jing', 'public', 'l'), jobIdOf('bei-jing', 't', 'k')]).size).toBe(3);
    expect(jobIdOf('bei-jing', 'public', 'k')).toBe(id);
    expect(parseTaskId(taskIdOf(id, 17))).toEqual({ jobId: id, index: 17 });
    expect(parseTaskId('beijing-1-2')).toBeUndefined();
  });
});

describe('JobIndex', () => {
  test('lists newest first, hides other tenants, names the region of foreign jobs', () => {
    const index = new JobIndex('beijing', { jobsMax: 3, tasksMax: 100 });
    const [old, fresh] = [aJob(1, { acceptedMs: 1 }), aJob(1, { acceptedMs: 2 })];
    index.add(fresh);
    index.add(old);
    expect(index.list('public', 10)).toEqual([fresh, old]);
    expect(index.list('public', 1)).toEqual([fresh]);
    expect(() => index.get('other', old.facts.jobId)).toThrow(expect.objectContaining({ reason: 'JOB_UNKNOWN' }));
    expect(() => index.get('public', jobIdOf('shanghai', 'public', 'k'))).toThrow(
      expect.objectContaining({ reason: 'JOB_ELSEWHERE', details: { region: 'shanghai' } }),
    );
  });

  test('is bounded, and gives ended jobs back for purging', () => {
    const index = new JobIndex('beijing', { jobsMax: 10, tasksMax: 5 });
    const job = aJob(4);
    index.add(job);
    expect(() => index.admit(1, 2)).toThrow(
      expect.objectContaining({ code: 'RESOURCE_EXHAUSTED', reason: 'JOBS_FULL' }),
    );
    job.purgeAfterMs = 100;
    expect(index.due(200)).toEqual([]);
    job.end('finished', 50);
    expect(index.due(99)).toEqual([]);
    expect(index.due(100)).toEqual([job]);
    index.remove(job);
    index.admit(1, 5);
  });
});
