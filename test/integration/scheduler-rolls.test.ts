import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { submitJob, watchJob } from '@meridian/cli';
import { subject } from '@meridian/contracts';
import type { RecognitionService, TaskResult } from '@meridian/contracts/recognition';
import type { TaskClaim } from '@meridian/contracts/task';
import { type AliasRoll, NO_EVIDENCE, type PhaseName, type RegionPhase } from '@meridian/replica';
import type { RpcClient } from '@meridian/rpc';
import { systemClock, systemRandom } from '@meridian/runtime';
import {
  aPicture,
  MODEL,
  NEXT,
  type RunningScheduler,
  SchedulerWorld,
  sha256,
  until,
} from '../support/scheduler-world.ts';

/**
 * Goal: aliases at the scheduler's doors: what a claim and a result name while a roll is under way, and what the region's
 * gate is told of the tasks. Method: brokers in memory, real gRPC, workers that follow a script, phases by hand.
 */
type Door = RpcClient<typeof RecognitionService>;
let world: SchedulerWorld;
let beijing: RunningScheduler;
let shanghai: RunningScheduler;
let door: Door;

beforeEach(async () => {
  world = await SchedulerWorld.open();
  beijing = await world.start('beijing');
  shanghai = await world.start('shanghai');
  door = await world.recognition(beijing);
  roll();
});
afterEach(() => world.close());

const soon = { timeoutMs: 10_000 };
const ROLL: AliasRoll = {
  ...{ alias: 'detector', rollId: '00000000000000aa', region: 'beijing', startedMs: 1, leaseMs: 60_000 },
  old: { model: MODEL.name, digest: MODEL.digest },
  new: { model: NEXT.name, digest: NEXT.digest },
  waves: [['beijing'], ['shanghai']],
  generations: new Map(),
  gate: { tasksMin: 50, errorFactor: 2, errorShareFloor: 0.02, p95Factor: 3.5, skipTasks: false },
};

/** The roll, with beijing in this phase. */
function roll(phase?: PhaseName, sinceMs = 1): void {
  const phases = new Map<string, RegionPhase>();
  const common = { rollId: ROLL.rollId, reason: '', sinceMs, old: NO_EVIDENCE, new: NO_EVIDENCE };
  if (phase !== undefined) phases.set('beijing', { ...common, phase, hasPassed: phase === 'passed' });
  world.aliases.set('detector', { roll: ROLL, losers: [], phases });
}

async function recognize(number: number, client = door, idempotencyKey = ''): Promise<TaskResult | undefined> {
  const request = { picture: aPicture(number), model: 'detector', idempotencyKey };
  return (await client.recognize(request, soon)).result;
}

async function jobOf(key: string): Promise<TaskResult[]> {
  const ports = {
    door: {
      submit: (parts: Parameters<Door['submitJob']>[0]) => door.submitJob(parts),
      watch: (jobId: string, cursor: bigint) => door.watchJob({ jobId, cursor }),
    },
    ...{ clock: systemClock, random: systemRandom },
  };
  const bytes = aPicture(1);
  const picture = {
    ...{ name: '1.jpg', digest: sha256(bytes), sizeBytes: bytes.length },
    read: async function* () {
      yield bytes;
    },
  };
  const jobId = await submitJob({ ...ports, header: { idempotencyKey: key, model: 'detector' }, pictures: [picture] });
  const results: TaskResult[] = [];
  for await (const update of watchJob({ ...ports, jobId, cursor: 0n }))
    if (update.kind === 'result') results.push(update.result);
  return results;
}

describe('an alias', () => {
  test('is in calls, jobs, claims and results what the phase of the entry region says', async () => {
    await world.worker('beijing', 'w1', [beijing, shanghai]);
    await world.worker('beijing', 'w2', [beijing, shanghai], NEXT.name);
    const claims: TaskClaim[] = [];
    const bus = world.bus('beijing', 'worker');
    for (const model of [MODEL.name, NEXT.name])
      bus.subscribe(
        subject('task', { target: 'beijing', class: 'normal', model }),
        'meridian.task.claim.v1',
        (message) => claims.push(message.data),
      );
    expect(await recognize(1)).toMatchObject({ model: MODEL.name, modelDigest: MODEL.digest, worker: 'w1' });
    roll('serving-new');
    expect(await recognize(2)).toMatchObject({ model: NEXT.name, modelDigest: NEXT.digest, worker: 'w2' });
    expect(await jobOf('a')).toMatchObject([{ model: NEXT.name, modelDigest: NEXT.digest }]);
    const there = await world.recognition(shanghai);
    expect(await recognize(3, there)).toMatchObject({ model: MODEL.name, modelDigest: MODEL.digest });
    roll('cut-off');
    expect(await recognize(4)).toMatchObject({ model: MODEL.name, modelDigest: MODEL.digest });
    expect(await jobOf('b')).toMatchObject([{ model: MODEL.name, modelDigest: MODEL.digest }]);
    expect(claims).toHaveLength(6);
    for (const { model, modelDigest, requires } of claims) {
      const known = [MODEL, NEXT].findIndex(({ name }) => name === model);
      expect(modelDigest).toBe([MODEL, NEXT][known]?.digest);
      expect(requires).toEqual([`beijing@0000000000001234=${7 - known}`]);
    }
    await bus.close();
  });

  test('that moves between two tries of a call gives the first one’s answer, not another', async () => {
    await world.worker('beijing', 'w1', [beijing]);
    await world.worker('beijing', 'w2', [beijing], NEXT.name);
    const first = await recognize(1, door, 'key');
    roll('serving-new');
    expect(await recognize(1, door, 'key')).toEqual(first);
    expect(first?.model).toBe(MODEL.name);
  });

  test('is worked on for every picture while it moves, for the gate to judge by, and remembered when it does not', async () => {
    await world.worker('beijing', 'w1', [beijing]);
    await world.worker('beijing', 'w2', [beijing], NEXT.name);
    const remembered = async () => {
      const { fromCache, modelDigest } = (await recognize(1)) ?? {};
      return [fromCache !== undefined, modelDigest];
    };
    roll('serving-new');
    for (const _ of [1, 2]) expect(await remembered()).toEqual([false, NEXT.digest]);
    roll('failed');
    expect(await remembered()).toEqual([false, MODEL.digest]);
    expect(await remembered()).toEqual([true, MODEL.digest]);
  });

  test('is named among what is known when a name is unknown', async () => {
    const failure = await door.recognize({ picture: aPicture(1), model: 'nope' }, soon).catch((error: Error) => error);
    expect(failure).toMatchObject({ reason: 'MODEL_UNKNOWN', message: expect.stringContaining('detector') });
  });
});

describe('what the gate is told', () => {
  test('is how tasks ended with each model: the new one since its trial began, only what the model has made', async () => {
    const old = await world.worker('beijing', 'w1', [beijing]);
    const next = await world.worker('beijing', 'w2', [beijing], NEXT.name);
    const many = (from: number) => Promise.all(Array.from({ length: 30 }, (_, i) => recognize(from + i)));
    await many(0);
    await door.recognize({ picture: aPicture(500), model: NEXT.name }, soon);
    old.answer = (worker, key) =>
      worker.fail(key, { code: 'INVALID_ARGUMENT', reason: 'PICTURE_TRUNCATED', retryable: false });
    await recognize(40).catch(() => undefined);
    await until(() => world.reports.at(-1)?.old?.tasks === 30);
    expect(world.reports.at(-1)).toMatchObject({ rollId: ROLL.rollId, reporter: '1', old: { errors: 0, p95Ms: 3 } });
    expect(world.reports.at(-1)?.new).toBeUndefined();
    roll('serving-new', 2);
    await until(() => world.reports.at(-1)?.new?.tasks === 0);
    next.inferenceMs = 15;
    await many(100);
    next.answer = (worker, key) => worker.fail(key, { code: 'INTERNAL', reason: 'INFERENCE_FAILED', retryable: false });
    await recognize(200).catch(() => undefined);
    await until(() => world.reports.at(-1)?.new?.tasks === 31);
    expect(world.reports.at(-1)).toMatchObject({
      old: { tasks: 30, errors: 0, p95Ms: 3 },
      new: { tasks: 31, errors: 1, p95Ms: 15 },
    });
  });
});
