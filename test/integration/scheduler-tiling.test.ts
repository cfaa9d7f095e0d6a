import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { JobState, type RecognizedObject, type RecognizeResponse } from '@meridian/contracts/recognition';
import { systemClock } from '@meridian/runtime';
import { findColours, type Patch, patches } from '../support/colour-worker.ts';
import { type Door, failureOf, resultsOf, soon } from '../support/scheduler-door.ts';
import { NEXT, type RunningScheduler, SchedulerWorld, sha256, until } from '../support/scheduler-world.ts';

/**
 * Goal: a picture that is recognised in tiles is answered once, with each of its objects once, whatever becomes of
 * workers and of the scheduler meanwhile. Method: brokers in memory, real gRPC, a real cutting process, and workers that
 * find patches of colour in what they are really sent.
 */
const SIZE = { width: 300, height: 220 };
/** Tiles of 3 × 3 begin at 0, 92 or 93, and 185. */
const PATCHES: readonly Patch[] = [
  // Across the border of two tiles, in part of both.
  { colour: 'red', left: 60, top: 20, width: 80, height: 40 },
  // 13 pixels: three in the whole picture at 64.
  { colour: 'green', left: 230, top: 180, width: 13, height: 13 },
];
const tiling = { maxTiles: 9 };
let picture: Buffer;
let world: SchedulerWorld;
let beijing: RunningScheduler;
let door: Door;

beforeAll(async () => {
  picture = await patches(SIZE.width, SIZE.height, PATCHES);
});
beforeEach(async () => {
  world = await SchedulerWorld.open();
  beijing = await world.start('beijing');
  door = await world.recognition(beijing);
});
afterEach(() => world.close());

const objectsOf = ({ result }: Pick<RecognizeResponse, 'result'>): readonly RecognizedObject[] =>
  result?.outcome.case === 'recognition' ? result.outcome.value.objects : [];
/** Label and box in pixels. */
const shown = (objects: readonly RecognizedObject[]) =>
  objects.map(({ label, box }) => [
    label,
    ...[(box?.x0 ?? 0) * SIZE.width, (box?.y0 ?? 0) * SIZE.height].map(Math.round),
    ...[(box?.x1 ?? 0) * SIZE.width, (box?.y1 ?? 0) * SIZE.height].map(Math.round),
  ]);

/** What is expected of PATCHES, to the pixel of a tile that was shrunk. */
function expectPatches(objects: readonly RecognizedObject[]): void {
  expect(objects.map(({ label }) => label)).toEqual(PATCHES.map(({ colour }) => colour));
  for (const [i, { left, top, width, height }] of PATCHES.entries()) {
    const [, ...box] = shown(objects)[i] ?? [];
    for (const [at, expected] of [left, top, left + width, top + height].entries())
      expect(Math.abs(Number(box[at]) - expected)).toBeLessThanOrEqual(3);
  }
}

async function seeing(name: string, before?: (key: string) => Promise<unknown>) {
  const worker = await world.worker('beijing', name, [beijing]);
  findColours(worker, before);
  return worker;
}

describe('a call', () => {
  test('finds with tiles what is too small without, and what borders cut once; its result names the tiles', async () => {
    const worker = await seeing('w1');
    const plain = await door.recognize({ picture }, soon);
    expect(objectsOf(plain).map(({ label }) => label)).toEqual(['red']);
    worker.pictures.length = 0;
    const { result } = await door.recognize({ picture, tiling }, soon);
    expectPatches(objectsOf({ result }));
    expect(result?.outcome.value).toMatchObject(SIZE);
    expect(result).toMatchObject({ entryRegion: 'beijing', region: 'beijing', worker: 'w1', jobId: '' });
    const tiles = result?.tiles ?? [];
    expect(tiles).toHaveLength(10);
    expect(tiles.at(-1)).toMatchObject({ taskId: `${result?.taskId}.whole`, left: 0, top: 0, ...SIZE });
    expect(
      tiles.every(({ region, worker: ran, attempts }) => region === 'beijing' && ran === 'w1' && attempts === 1),
    ).toBe(true);
    expect(worker.pictures.map((key) => key.split('#')[0]).sort()).toEqual(tiles.map(({ taskId }) => taskId).sort());
    expect(tiles.at(-1)?.objects).toBe(1);
    const regions = await world.regions(beijing);
    const { spans } = await regions.getTrace({ key: { case: 'taskId', value: result?.taskId ?? '' } });
    const tasksOf = (name: string) =>
      spans.filter((one) => one.name === name).map((one) => one.attributes['meridian.task.id']);
    expect(tasksOf('attempt').sort()).toEqual(tiles.map(({ taskId }) => taskId).sort());
    expect(tasksOf('task').sort()).toEqual([result?.taskId, ...tiles.map(({ taskId }) => taskId)].sort());
  });

  test('is remembered by how it was tiled', async () => {
    await seeing('w1');
    await door.recognize({ picture }, soon);
    const first = await door.recognize({ picture, tiling }, soon);
    expect(first.result?.fromCache).toBeUndefined();
    const again = await door.recognize({ picture, tiling }, soon);
    expect(again.result?.fromCache?.taskId).toBe(first.result?.taskId);
    expect(again.result?.tiles).toEqual(first.result?.tiles);
    const other = await door.recognize({ picture, tiling: { maxTiles: 4 } }, soon);
    expect(other.result?.fromCache).toBeUndefined();
    const key = { picture, idempotencyKey: 'k' };
    await door.recognize({ ...key, tiling }, soon);
    expect(await failureOf(door.recognize(key, soon))).toMatchObject({ reason: 'IDEMPOTENCY_KEY_REUSED' });
  });

  test('that cannot be tiled is refused, and says why', async () => {
    const worker = await seeing('w1');
    const reasonOf = async (request: Parameters<Door['recognize']>[0]) => {
      const { code, reason } = await failureOf(door.recognize(request, soon));
      return `${code} ${reason}`;
    };
    expect(await reasonOf({ picture, tiling: { maxTiles: 1 } })).toBe('INVALID_ARGUMENT TILING_INVALID');
    expect(await reasonOf({ picture, tiling: { maxTiles: 65 } })).toBe('INVALID_ARGUMENT TILING_INVALID');
    const half = { maxTiles: 9, overlapPercent: 51 };
    expect(await reasonOf({ picture, tiling: half })).toBe('INVALID_ARGUMENT TILING_INVALID');
    expect(await reasonOf({ picture, tiling, model: NEXT.name })).toBe('INVALID_ARGUMENT TILING_UNSUPPORTED');
    const broken = picture.subarray(0, picture.length / 2);
    expect(await reasonOf({ picture: broken, tiling })).toBe('INVALID_ARGUMENT PICTURE_TRUNCATED');
    expect(worker.pictures).toEqual([]);
  });

  test('of a picture that the model sees in full is one task, and says so', async () => {
    await seeing('w1');
    const small = await patches(60, 40, [{ colour: 'red', left: 5, top: 5, width: 20, height: 20 }]);
    const { result } = await door.recognize({ picture: small, tiling }, soon);
    expect(objectsOf({ result }).map(({ label }) => label)).toEqual(['red']);
    expect(result?.tiles).toMatchObject([{ left: 0, top: 0, width: 60, height: 40, bytes: small.length }]);
  });

  test('whose worker is killed under its tiles has the same objects as an undisturbed one', async () => {
    const stuck = new Set<string>();
    const first = await seeing('w1', async (key) => {
      stuck.add(key);
      if (stuck.size > 3) await new Promise(() => undefined);
    });
    const call = door.recognize({ picture, tiling }, soon);
    await until(() => stuck.size > 5);
    await seeing('w2');
    await first.kill();
    const { result } = await call;
    expect(new Set(result?.tiles.map(({ worker }) => worker))).toEqual(new Set(['w1', 'w2']));
    expect(result?.tiles.some(({ attempts }) => attempts > 1)).toBe(true);
    expectPatches(objectsOf({ result }));
    const undisturbed = await door.recognize({ picture, tiling, noCache: true }, soon);
    expect(objectsOf({ result })).toEqual(objectsOf(undisturbed));
  });

  test('with a tile that no worker can finish fails with its reason; the others are called off', async () => {
    const worker = await seeing('w1', async (key) => {
      if (!key.includes('.tile4#')) await new Promise(() => undefined);
      else throw new Error('poison');
    });
    const look = worker.answer;
    worker.answer = (self, key) => {
      if (key.includes('.tile4#')) self.fail(key, { code: 'INTERNAL', reason: 'INFERENCE_FAILED', retryable: false });
      else look(self, key);
    };
    worker.slots = 20;
    const failure = await failureOf(door.recognize({ picture, tiling }, soon));
    expect([failure.code, failure.reason]).toEqual(['INTERNAL', 'INFERENCE_FAILED']);
    await until(() => worker.verdicts.some(({ kind }) => kind === 'cancel'));
  });

  test('that its caller leaves is called off at the workers', async () => {
    const worker = await seeing('w1', () => new Promise(() => undefined));
    const leave = new AbortController();
    const call = failureOf(door.recognize({ picture, tiling }, { signal: leave.signal, ...soon }));
    await until(() => worker.pictures.length === 4);
    leave.abort();
    expect((await call).code).toBe('CANCELLED');
    await until(() => worker.verdicts.filter(({ kind }) => kind === 'cancel').length === 4);
  });

  test('whose deadline passes says so', async () => {
    await seeing('w1', () => new Promise(() => undefined));
    const failure = await failureOf(door.recognize({ picture, tiling }, { timeoutMs: 1500 }));
    expect(failure.code).toBe('DEADLINE_EXCEEDED');
  });
});

describe('a job', () => {
  /** Different pictures with the same patches. */
  async function submit(key: string, count: number, more = {}): Promise<string> {
    const pictures = await Promise.all(
      Array.from({ length: count }, (_, i) =>
        patches(SIZE.width, SIZE.height, [
          ...PATCHES,
          { colour: 'blue', left: 5 + 4 * i, top: 190, width: 20, height: 20 },
        ]),
      ),
    );
    const refs = pictures.map((bytes, i) => ({ digest: sha256(bytes), sizeBytes: bytes.length, name: `${i}` }));
    async function* parts() {
      yield { part: { case: 'header' as const, value: { idempotencyKey: key, pictures: refs, tiling, ...more } } };
      for (const [i, bytes] of pictures.entries()) {
        yield { part: { case: 'picture' as const, value: { digest: refs[i]?.digest ?? bytes } } };
        yield { part: { case: 'chunk' as const, value: bytes } };
      }
    }
    const { jobId, accepted } = await door.submitJob(parts());
    expect(accepted).toBe(true);
    return jobId;
  }

  const stateOf = async (jobId: string) => (await door.getJob({ jobId })).job;

  test('gets every picture answered once, with its tiles merged', async () => {
    await seeing('w1');
    const jobId = await submit('k', 6);
    const results = await resultsOf(door, jobId);
    expect(results.map(({ index }) => index).sort()).toEqual([0, 1, 2, 3, 4, 5]);
    for (const result of results) {
      expect(objectsOf({ result }).map(({ label }) => label)).toEqual(['red', 'green', 'blue']);
      expect(result.tiles).toHaveLength(10);
      expect(result).toMatchObject({ jobId, taskId: `${jobId}/${result.index}`, worker: 'w1' });
    }
    expect(await stateOf(jobId)).toMatchObject({ state: JobState.FINISHED, succeeded: 6, failed: 0, tasks: 6 });
  });

  test('survives the death of the scheduler under its tiles: each result once, and the same bytes', async () => {
    const seen = new Set<string>();
    const first = await seeing('w1', async (key) => {
      seen.add(key);
      if (seen.size > 25) await new Promise(() => undefined);
    });
    const jobId = await submit('k', 6);
    await until(() => seen.size > 28);
    const before = (await stateOf(jobId))?.succeeded ?? 0;
    expect(before).toBeLessThan(6);
    await beijing.kill();
    await first.kill();
    beijing = await world.start('beijing');
    door = await world.recognition(beijing);
    await seeing('w2');
    const results = await resultsOf(door, jobId);
    expect(results.map(({ index }) => index).sort()).toEqual([0, 1, 2, 3, 4, 5]);
    const again = await resultsOf(door, await submit('undisturbed', 6));
    const bytesOf = (all: typeof results) =>
      all.toSorted((a, b) => a.index - b.index).map((result) => JSON.stringify(objectsOf({ result })));
    expect(bytesOf(results)).toEqual(bytesOf(again));
  });

  test('that is cancelled ends, its tiles are called off, and nothing more is stored', async () => {
    const worker = await seeing('w1', () => new Promise(() => undefined));
    const jobId = await submit('k', 6);
    await until(() => worker.pictures.length >= 4);
    await door.cancelJob({ jobId });
    expect(await stateOf(jobId)).toMatchObject({ state: JobState.CANCELLED, succeeded: 0, failed: 0 });
    await until(() => worker.verdicts.filter(({ kind }) => kind === 'cancel').length >= 4);
    expect(await resultsOf(door, jobId)).toEqual([]);
  });

  test('ends at its deadline, also the pictures that waited for their turn', async () => {
    await seeing('w1', () => new Promise(() => undefined));
    const jobId = await submit('k', 6, { deadlineUnixMs: BigInt(systemClock.nowMs() + 2500) });
    const results = await resultsOf(door, jobId);
    expect(results.map(({ outcome }) => outcome.case === 'error' && outcome.value.code)).toEqual(
      Array.from({ length: 6 }, () => 'DEADLINE_EXCEEDED'),
    );
    expect(await stateOf(jobId)).toMatchObject({ state: JobState.FINISHED, failed: 6 });
  });

  test('with tiling that its model does not allow is refused at its header', async () => {
    const call = submit('k', 1, { model: NEXT.name });
    expect(await failureOf(call)).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'TILING_UNSUPPORTED' });
  });

  test('counts its tiles where tasks are limited', async () => {
    await beijing.kill();
    beijing = await world.start('beijing', { MERIDIAN_OPEN_TASKS_MAX: '50' });
    door = await world.recognition(beijing);
    expect(await failureOf(submit('k', 6))).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'TASKS_OPEN' });
  });
});
