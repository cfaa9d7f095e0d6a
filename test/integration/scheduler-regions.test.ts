import { fromBinary } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { subject } from '@meridian/contracts';
import { RegionHealth } from '@meridian/contracts/region';
import { type LoadReport, LoadReportSchema } from '@meridian/contracts/telemetry';
import { type Door, failureOf, resultsOf, soon, submit } from '../support/scheduler-door.ts';
import { aPicture, type RunningScheduler, SchedulerWorld, until } from '../support/scheduler-world.ts';

/**
 * Goal: what schedulers of several regions do together, through their real doors.
 * Method: brokers in memory, real gRPC with mutual TLS, workers that follow a script.
 */
let world: SchedulerWorld;
let beijing: RunningScheduler;
let door: Door;

beforeEach(async () => {
  world = await SchedulerWorld.open();
  beijing = await world.start('beijing');
  door = await world.recognition(beijing);
});
afterEach(() => world.close());

describe('two regions', () => {
  test('share the work of a busy one, see each other, and re-place what a silent one held', async () => {
    const shanghai = await world.start('shanghai');
    const near = await world.worker('beijing', 'w1', [beijing]);
    const far = await world.worker('shanghai', 'w2', [beijing, shanghai]);
    const regions = await world.regions(beijing);
    await until(async () => {
      const { regions: views } = await regions.listRegions({});
      return views.every(({ health, workers }) => health === RegionHealth.UP && workers > 0);
    });
    near.answer = () => undefined;
    far.answer = () => undefined;
    const jobId = await submit(door, 'k', 60);
    await until(() => near.held > 0 && far.held > 0);
    far.pulls = false;
    world.broker.setReachable('beijing', 'shanghai', false);
    far.cut('beijing');
    near.answer = (self, key) => self.succeed(key);
    for (const key of near.heldKeys) near.succeed(key);
    const results = await resultsOf(door, jobId);
    expect(results).toHaveLength(60);
    expect(results.some(({ attempts }) => attempts > 1)).toBe(true);
    await until(async () => {
      const { regions: views } = await regions.listRegions({});
      return views.find(({ name }) => name === 'shanghai')?.health === RegionHealth.DOWN;
    });
  });

  test('respect the residency rule', async () => {
    const shanghai = await world.start('shanghai');
    await world.worker('beijing', 'w1', [beijing]);
    await world.worker('shanghai', 'w2', [beijing, shanghai]);
    const metadata = { 'meridian-residency': 'only=zone:zone-shanghai,region:beijing;prefer=region:shanghai' };
    const { result } = await door.recognize({ picture: aPicture(1) }, { ...soon, metadata });
    expect(result).toMatchObject({ entryRegion: 'beijing', region: 'shanghai', worker: 'w2' });
  });

  test('place nothing new in a region that an operator has removed, and say so', async () => {
    const shanghai = await world.start('shanghai');
    await world.worker('beijing', 'w1', [beijing]);
    await world.worker('shanghai', 'w2', [beijing, shanghai]);
    const regions = await world.regions(beijing);
    const far = { ...soon, metadata: { 'meridian-residency': 'prefer=region:shanghai' } };
    const { result } = await door.recognize({ picture: aPicture(1) }, far);
    expect(result?.region).toBe('shanghai');
    world.removed.add('shanghai');
    expect((await door.recognize({ picture: aPicture(3) }, far)).result?.region).toBe('beijing');
    world.removed.clear();
    expect((await door.recognize({ picture: aPicture(4) }, far)).result?.region).toBe('shanghai');
    const { decisions } = await regions.explainTask({ taskId: result?.taskId ?? '' });
    expect(decisions).toMatchObject([
      { attempt: 1, winner: 'shanghai', restricted: false, allowedRegions: [], preferredRegions: ['shanghai'] },
    ]);
    expect(decisions[0]?.candidates.map(({ region, exclusion }) => [region, exclusion])).toEqual([
      ['beijing', ''],
      ['shanghai', ''],
    ]);
    const unknown = await failureOf(regions.explainTask({ taskId: 'beijing-1-1-999' }));
    expect([unknown.code, unknown.reason]).toEqual(['NOT_FOUND', 'DECISION_NOT_KEPT']);
  });

  test('learn the load of another region from its workers, newer than what they know, and nothing absurd', async () => {
    const shanghai = await world.start('shanghai');
    const far = await world.worker('shanghai', 'w2', [beijing, shanghai]);
    const regions = await world.regions(beijing);
    const seen = async () => (await regions.listRegions({})).regions.find(({ name }) => name === 'shanghai');
    await until(async () => ((await seen())?.workers ?? 0) > 0);
    const load = { capacity: 1, workers: 1, slots: 1 };
    far.load = { ...load, outstanding: 77, price: 12, measuredUnixMs: BigInt(Date.now() + 5_000) };
    await until(async () => (await seen())?.outstanding === 77);
    expect((await seen())?.price).toBe(12);
    const beats = far.beats;
    far.load = { ...load, outstanding: 66, price: 1, measuredUnixMs: BigInt(Date.now() + 4_000) };
    await until(() => far.beats > beats + 2);
    far.load = { ...load, outstanding: 66, price: Number.NaN, measuredUnixMs: BigInt(Date.now() + 9_000) };
    await until(() => far.beats > beats + 5);
    expect(await seen()).toMatchObject({ outstanding: 77, price: 12 });
  });

  test('tell all regions what the workers of theirs take ahead, of those that have measured, and nothing absurd', async () => {
    let last: LoadReport | undefined;
    const deliver = ({ data }: { readonly data: Uint8Array }) => {
      last = fromBinary(LoadReportSchema, data);
    };
    const pattern = subject('telemetry', { origin: 'beijing' });
    world.broker.listen({ region: 'beijing', pattern, queue: undefined, deliver });
    const [one, other] = [
      await world.worker('beijing', 'w1', [beijing]),
      await world.worker('beijing', 'w2', [beijing]),
    ];
    await until(() => last?.workers === 2);
    expect(last?.claimsAhead).toBeUndefined();
    one.own = { slots: 1, claimsAhead: 8, fetchMs: 5, serviceMs: 30 };
    await until(() => last?.claimsAhead?.workers === 1);
    expect(last?.claimsAhead).toMatchObject({ workers: 1, claims: 8, fetchMs: 5, serviceMs: 30 });
    other.own = { slots: 2, claimsAhead: 12, fetchMs: 55, serviceMs: 40 };
    await until(() => last?.claimsAhead?.workers === 2);
    expect(last?.claimsAhead).toMatchObject({ claims: 20, fetchMs: 30, serviceMs: 35 });
    other.own = { slots: 2, claimsAhead: 12, fetchMs: Number.NaN, serviceMs: 40 };
    await until(() => last?.claimsAhead?.workers === 1);
    expect(last).toMatchObject({ slots: 3, claimsAhead: { claims: 8, fetchMs: 5, serviceMs: 30 } });
  });

  test('show the trace of a task, every attempt with its region and end', async () => {
    const shanghai = await world.start('shanghai');
    const first = await world.worker('beijing', 'w1', [beijing]);
    first.answer = () => undefined;
    await world.worker('shanghai', 'w2', [beijing, shanghai]);
    const jobId = await submit(door, 'k', 1);
    await until(() => first.held > 0);
    await first.kill();
    const [result] = await resultsOf(door, jobId);
    const regions = await world.regions(shanghai);
    const taskId = result?.taskId ?? '';
    const { spans, unreachableRegions } = await regions.getTrace({ key: { case: 'taskId', value: taskId } });
    expect(unreachableRegions).toEqual([]);
    const attempts = spans.filter(({ name }) => name === 'attempt').map(({ attributes }) => attributes);
    expect(attempts.map((one) => [one['meridian.region'], one['meridian.reason']])).toEqual([
      ['beijing', 'worker-lost'],
      ['shanghai', 'result'],
    ]);
    expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1);
    expect(spans.some(({ name }) => name === 'task')).toBe(true);
  });
});
