import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { VersionVector } from '@meridian/causality';
import { parseConfig } from '@meridian/runtime';
import { schedulerConfig } from '@meridian/scheduler';
import { type Door, failureOf, soon } from '../support/scheduler-door.ts';
import {
  aPicture,
  MODEL,
  NEXT,
  REGIONS,
  type RunningScheduler,
  SchedulerWorld,
  until,
} from '../support/scheduler-world.ts';
import type { ScriptedWorker } from '../support/scripted-worker.ts';
import { WatchedState } from '../support/watched-state.ts';

/**
 * Goal: an answer is given again only where it is the one that the call would have got, and it says so.
 * Method: real schedulers with their gRPC doors and real replicas that follow a state which the test writes; brokers in
 * memory; a worker that sees the digest of the model that it was asked for.
 */
let world: SchedulerWorld;
let beijing: RunningScheduler;
let door: Door;
let worker: ScriptedWorker;

beforeEach(async () => {
  world = await SchedulerWorld.open();
  for (const region of REGIONS) {
    const state = new WatchedState();
    state.tell(1, MODEL.name, MODEL.digest, ['beijing']);
    world.states.set(region, state);
  }
  beijing = await world.start('beijing');
  door = await world.recognition(beijing);
  worker = await world.worker('beijing', 'w1', [beijing]);
  seesDigests(worker);
});
afterEach(() => world.close());

/** Its answers name the version that they come from. */
function seesDigests(one: ScriptedWorker): void {
  one.answer = (self, key) => {
    const claim = self.claims.findLast(({ taskId }) => key.startsWith(`${taskId}#`));
    self.objects = [{ label: claim?.modelDigest ?? '', score: 0.9 }];
    self.succeed(key);
  };
}

async function recognize(number: number, request: Parameters<Door['recognize']>[0] = {}, at = door) {
  const { result, versionVector } = await at.recognize({ picture: aPicture(number), ...request }, soon);
  if (result?.outcome.case !== 'recognition') throw new Error('no recognition');
  return { ...result, label: result.outcome.value.objects[0]?.label, versionVector };
}

/** The replica of the scheduler of `region` has it. */
function replaced(number: number, region: 'beijing' | 'shanghai' = 'beijing'): Promise<void> {
  const state = world.states.get(region);
  state?.tell(number, MODEL.name, NEXT.digest, ['beijing', 'shanghai']);
  return until(() => state?.replica.model('')?.digest === NEXT.digest);
}

describe('the same picture again', () => {
  test('is answered without work, and the answer says so, and from where', async () => {
    const first = await recognize(1);
    const again = await recognize(1);
    expect(first.fromCache).toBeUndefined();
    expect(again).toMatchObject({ label: MODEL.digest, modelDigest: MODEL.digest, region: 'beijing', worker: 'w1' });
    expect(again.fromCache).toMatchObject({ taskId: first.taskId, versionVector: first.versionVector });
    expect(Number(again.fromCache?.computedUnixMs)).toBeGreaterThan(0);
    expect(again.taskId).not.toBe(first.taskId);
    expect(again.pictureDigest).toEqual(first.pictureDigest);
    expect(again.timings?.inferenceMs).toBe(0);
    expect(worker.claims).toHaveLength(1);
    const spans = beijing.telemetry.spanStore.byTask(again.taskId);
    expect(spans.map(({ name, attributes }) => [name, attributes['meridian.outcome']])).toEqual([['task', 'cached']]);
  });

  test('over a stream, too, with the vector of each answer', async () => {
    const requests = async function* () {
      yield { sequence: 1n, request: { picture: aPicture(1) } };
    };
    await recognize(1);
    for await (const { result, versionVector } of door.recognizeStream(requests(), soon)) {
      expect(result?.fromCache).toBeDefined();
      expect(VersionVector.parse(versionVector)?.size).toBe(1);
    }
    expect(worker.claims).toHaveLength(1);
  });

  test('is worked on for another tenant, and for who asks for it; what that gives is not kept', async () => {
    await recognize(1);
    const state = world.states.get('beijing');
    state?.tellTenant(2, 'other', '');
    await until(() => state?.replica.get('tenant/other') !== undefined);
    expect((await recognize(1, { tenant: 'other' })).fromCache).toBeUndefined();
    expect((await recognize(1, { tenant: 'other' })).fromCache).toBeDefined();
    expect((await recognize(1, { noCache: true })).fromCache).toBeUndefined();
    await recognize(2, { noCache: true });
    expect((await recognize(2)).fromCache).toBeUndefined();
    expect(worker.claims).toHaveLength(5);
  });

  test('is answered where no worker is left', async () => {
    await recognize(1);
    await worker.kill();
    expect((await recognize(1)).fromCache).toBeDefined();
  });

  test('is kept under a rule that allows this region, and refused under one that does not', async () => {
    await recognize(1, { residency: { regions: ['beijing'] } });
    expect((await recognize(1)).fromCache).toBeDefined();
    expect((await recognize(1, { residency: { regions: ['beijing'] } })).fromCache).toBeDefined();
    const refused = await failureOf(
      door.recognize({ picture: aPicture(1), residency: { regions: ['shanghai'] } }, soon),
    );
    expect(refused.reason).toBe('RESIDENCY_REGION_NOT_ALLOWED');
  });

  test('is worked on after a failure: failures are not kept', async () => {
    worker.answer = (self, key) =>
      self.fail(key, { code: 'INVALID_ARGUMENT', reason: 'PICTURE_TRUNCATED', retryable: false });
    for (const _ of [1, 2])
      expect((await failureOf(door.recognize({ picture: aPicture(1) }, soon))).reason).toBe('PICTURE_TRUNCATED');
    expect(worker.claims).toHaveLength(2);
    seesDigests(worker);
    expect((await recognize(1)).fromCache).toBeUndefined();
  });

  test('at the same time shares one run; who began it may leave', async () => {
    worker.answer = () => undefined;
    const leave = new AbortController();
    const began = failureOf(door.recognize({ picture: aPicture(1) }, { ...soon, signal: leave.signal }));
    await until(() => worker.pictures.length === 1);
    const others = [recognize(1), recognize(1), recognize(1)];
    const urgent = recognize(1, { priority: 1 });
    await until(() => worker.pictures.length === 2); // the urgent one waits for nobody
    seesDigests(worker);
    leave.abort();
    expect((await began).code).toBe('CANCELLED');
    const shared = (await Promise.all(others)).map(({ fromCache }) => fromCache !== undefined);
    expect(shared.filter((is) => !is)).toHaveLength(1);
    for (const key of worker.heldKeys) worker.succeed(key);
    expect((await urgent).fromCache).toBeUndefined();
    expect(worker.claims).toHaveLength(3);
  });
});

describe('a model that changes', () => {
  test('is never answered for by the older one, where the change is known', async () => {
    const before = await recognize(1);
    expect((await recognize(1)).fromCache).toBeDefined();
    await replaced(2);
    const after = await recognize(1);
    expect([after.fromCache, after.label, after.modelDigest]).toEqual([undefined, NEXT.digest, NEXT.digest]);
    const again = await recognize(1);
    expect([again.label, again.fromCache?.taskId]).toEqual([NEXT.digest, after.taskId]);
    expect(again.fromCache?.versionVector).toBe(after.versionVector);
    expect(after.versionVector).not.toBe(before.versionVector);
  });

  test('while an answer of the older one is under way, does not get it kept as its own', async () => {
    worker.answer = () => undefined;
    const old = recognize(1);
    await until(() => worker.heldKeys.length === 1);
    await replaced(2);
    const [held = ''] = worker.heldKeys;
    seesDigests(worker);
    const fresh = await recognize(1);
    expect(fresh).toMatchObject({ label: NEXT.digest, modelDigest: NEXT.digest });
    worker.answer(worker, held);
    expect(await old).toMatchObject({ label: MODEL.digest, modelDigest: MODEL.digest });
    expect(await recognize(1)).toMatchObject({ label: NEXT.digest, fromCache: { taskId: fresh.taskId } });
  });

  test('in a region that is cut off is marked with what it comes from, and refused to who knows better', async () => {
    const shanghai = await world.start('shanghai');
    const alone = await world.recognition(shanghai);
    await worker.kill();
    seesDigests(await world.worker('beijing', 'w3', [beijing, shanghai]));
    await recognize(1, {}, alone);
    await replaced(2);
    const token = (await recognize(1)).versionVector;
    const old = await recognize(1, {}, alone);
    expect(old).toMatchObject({ label: MODEL.digest, modelDigest: MODEL.digest });
    const [seenThere, seenHere] = [VersionVector.parse(old.fromCache?.versionVector ?? ''), VersionVector.parse(token)];
    expect(seenThere !== undefined && seenHere?.dominates(seenThere)).toBe(true);
    expect(seenHere && seenThere?.dominates(seenHere)).toBe(false);
    const stale = await failureOf(alone.recognize({ picture: aPicture(1), versionVector: token }, soon));
    expect([stale.code, stale.reason]).toEqual(['FAILED_PRECONDITION', 'STALE']);
    await replaced(2, 'shanghai');
    const healed = await recognize(1, { versionVector: token }, alone);
    expect([healed.label, healed.fromCache]).toEqual([NEXT.digest, undefined]);
  });
});

describe('its size and time', () => {
  test('0 turns it off', async () => {
    const off = await world.start('shanghai', { MERIDIAN_CACHE_BYTES: '0' });
    const there = await world.recognition(off);
    // It does not know the other owner: of its claims nobody would hear.
    await worker.kill();
    await world.worker('beijing', 'w2', [beijing, off]);
    for (const _ of [1, 2]) expect((await recognize(1, {}, there)).fromCache).toBeUndefined();
  });

  test.each([
    ['MERIDIAN_CACHE_BYTES', '-1'],
    ['MERIDIAN_CACHE_BYTES', '17GiB'],
    ['MERIDIAN_CACHE_TTL_MS', '0'],
    ['MERIDIAN_CACHE_ENTRIES_MAX', '0'],
  ])('%s=%s stops the start', (name, value) => {
    const environment = {
      ...{ MERIDIAN_REGION: 'beijing', MERIDIAN_TOPOLOGY_FILE: 'f', MERIDIAN_NATS_URL: 'nats://f' },
      ...{ MERIDIAN_NATS_SEED_FILE: 'f', MERIDIAN_TLS_DIRECTORY: 'f', MERIDIAN_SYNC_ADDRESS: 'f:1' },
      ...{ MERIDIAN_GRPC_LISTEN: '127.0.0.1:0', MERIDIAN_STATE_DIRECTORY: 'f' },
    };
    expect(() => parseConfig(schedulerConfig, environment)).not.toThrow();
    expect(() => parseConfig(schedulerConfig, { ...environment, [name]: value })).toThrow(name);
  });
});
