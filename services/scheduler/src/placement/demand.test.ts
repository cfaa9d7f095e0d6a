import { describe, expect, test } from '@jest/globals';
import { aTask, aWork } from '../tasks/task.builders.ts';
import type { Task } from '../tasks/task.ts';
import { DemandMeter } from './demand.ts';

const task = (taskId: string, work: Parameters<typeof aWork>[0] = {}, pictureBytes = 1_000): Task => ({
  ...aTask(aWork(work)),
  taskId,
  pictureBytes,
});

/** Tenants here are called by the regions that their rule allows. */
const allowedOf = ({ tenant }: Task['work']) => (tenant === 'public' ? undefined : new Set(tenant.split(' ')));

/** `perSecond` tasks in each of so many seconds, with a tick at the end of each. */
function offer(meter: DemandMeter, fromS: number, seconds: number, perSecond: number): void {
  for (let second = fromS; second < fromS + seconds; second++) {
    for (let n = 0; n < perSecond; n++) meter.accepted(task(`${second}.${n}`));
    meter.tick((second + 1) * 1_000);
  }
}

const rateOf = (meter: DemandMeter) => meter.sources[0]?.tasksPerSecond ?? 0;

describe('demand of a scheduler', () => {
  test('a steady source has its rate from the first tick on', () => {
    const meter = new DemandMeter(allowedOf);
    meter.tick(0);
    offer(meter, 0, 1, 12);
    expect(rateOf(meter)).toBeCloseTo(12, 6);
    offer(meter, 1, 30, 12);
    expect(rateOf(meter)).toBeCloseTo(12, 6);
  });

  test('a step is followed, and what has ended fades and is forgotten', () => {
    const meter = new DemandMeter(allowedOf);
    meter.tick(0);
    offer(meter, 0, 20, 10);
    offer(meter, 20, 5, 30);
    expect(rateOf(meter)).toBeGreaterThan(20);
    expect(rateOf(meter)).toBeLessThan(30);
    offer(meter, 25, 5, 0);
    expect(rateOf(meter)).toBeLessThan(12);
    offer(meter, 30, 90, 0);
    expect(meter.sources).toEqual([]);
  });

  test('models, classes and rules are told apart, with means of their pictures', () => {
    const meter = new DemandMeter(allowedOf);
    meter.tick(0);
    meter.accepted(task('a', {}, 1_000));
    meter.accepted(task('b', {}, 3_000));
    meter.accepted(task('c', { priority: 'high' }));
    meter.accepted(task('d', { tenant: 'shanghai beijing' }));
    meter.accepted(task('e', { tenant: 'beijing shanghai' }));
    meter.tick(1_000);
    const [both, high, ruled] = meter.sources;
    expect(both).toMatchObject({ priority: 'normal', allowed: undefined, tasksPerSecond: 2, pictureBytes: 2_000 });
    expect(high).toMatchObject({ priority: 'high', tasksPerSecond: 1 });
    expect([...(ruled?.allowed ?? [])]).toEqual(['shanghai', 'beijing']);
    expect(meter.sources).toHaveLength(3);
  });

  test('what has no place stands with others of its class and rule, and beyond that it is only counted', () => {
    const meter = new DemandMeter(allowedOf);
    meter.tick(0);
    for (let n = 0; n < 300; n++)
      meter.accepted(task(`m${n}`, { modelDigest: `sha256:${n}`, expectedServiceMs: n < 96 ? 10 : 40 }));
    for (let n = 0; n < 50; n++) meter.accepted(task(`r${n}`, { modelDigest: 'sha256:new', tenant: `region-${n}` }));
    meter.tick(1_000);
    const { sources } = meter;
    expect(sources).toHaveLength(128);
    const merged = sources.filter(({ modelDigest }) => modelDigest === '');
    expect(merged[0]).toMatchObject({ allowed: undefined, tasksPerSecond: 204, expectedServiceMs: 40 });
    expect(merged.slice(1).every(({ allowed }) => allowed?.size === 1)).toBe(true);
    expect(meter.unlistedPerSecond).toBe(50 - 31);
    const listed = sources.reduce((sum, { tasksPerSecond }) => sum + tasksPerSecond, 0);
    expect(listed + meter.unlistedPerSecond).toBeCloseTo(350, 6);
  });
});
