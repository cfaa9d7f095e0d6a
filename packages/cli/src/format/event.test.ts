import { create } from '@bufbuild/protobuf';
import { expect, test } from '@jest/globals';
import { TIMESTAMP_ZERO, VersionVector } from '@meridian/causality';
import { ConflictChangedSchema, JobChangedSchema, TasksPlacedSchema } from '@meridian/contracts/event';
import { formatEvent } from './event.ts';

const envelope = {
  id: 'e1',
  source: '/beijing/scheduler/1',
  timeMs: 0,
  hlc: TIMESTAMP_ZERO,
  vector: VersionVector.EMPTY,
  causes: [],
  tenant: 'public',
};

test('a placement says how many tasks went where, and why again', () => {
  const data = create(TasksPlacedSchema, {
    jobId: 'beijing-1',
    placements: [{ region: 'beijing' }, { region: 'shanghai', reason: 'worker-lost' }, { region: 'beijing' }],
  });
  const type = 'meridian.event.tasks-placed.v1' as const;
  const subject = 'meridian.beijing.event.public.job.re-placed';
  expect(formatEvent({ region: 'beijing', subject, envelope: { ...envelope, type }, type, data })).toMatch(
    /^\d\d:\d\d:\d\d\.000 {2}beijing {5}public {4}job re-placed {3}beijing-1: 2 → beijing, 1 → shanghai \(worker-lost\)$/,
  );
});

test('a change of a job says its state and counts', () => {
  const data = create(JobChangedSchema, { job: { jobId: 'j', state: 2, tasks: 1, succeeded: 1, model: 'm' } });
  const type = 'meridian.event.job-changed.v1' as const;
  const subject = 'meridian.beijing.event.public.job.finished';
  expect(formatEvent({ region: 'beijing', subject, envelope: { ...envelope, type }, type, data })).toMatch(
    /job finished {4}j: finished, 1 task, 1 ok, 0 failed, m$/,
  );
});

test('a conflict says who wrote where, and which version readers see', () => {
  const data = create(ConflictChangedSchema, {
    key: 'config/x',
    versions: [
      { region: 'beijing', author: 'operator/a' },
      { region: 'shanghai', winner: true },
    ],
  });
  const type = 'meridian.event.conflict-changed.v1' as const;
  const subject = 'meridian.beijing.event.public.conflict.found';
  expect(formatEvent({ region: 'beijing', subject, envelope: { ...envelope, type }, type, data })).toMatch(
    /conflict found {2}config\/x: beijing by operator\/a, shanghai by the system ← readers see this one$/,
  );
});
