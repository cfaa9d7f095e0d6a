import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { actorId } from '@meridian/causality';
import { ModelRecordSchema, type WatchResponse, WatchResponseSchema } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { canonicalJson, type Manifest, modelDigest, parseManifest } from '@meridian/models';
import { modelKey, Replica } from '@meridian/replica';
import { createLogger, seededRandom, VirtualClock } from '@meridian/runtime';
import type { Outcome } from '../claims/held-claim.ts';
import { ModelLoader } from './model-loader.ts';
import type { Blob } from './model-store.ts';

/** Goal: models are served soon after their weights arrive, however long that took. Virtual time; weights by script. */
const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });
const digestOf = (letter: string) => `sha256:${letter.repeat(64)}`;
const manifestOf = (name: string, letter: string, golden?: unknown): Manifest =>
  parseManifest({
    ...(golden !== undefined && { golden }),
    ...{ name, licence: 'MIT', source: 'https://example.org', task: 'classification', labels: ['cat'] },
    parts: {
      model: {
        ...{ file: 'model.onnx', digest: digestOf(letter), bytes: 1 },
        input: { name: 'x', width: 224, height: 224, fit: 'stretch', layout: 'NCHW', type: 'float32' },
      },
    },
    decoder: { kind: 'classifier', output: 'y', activation: 'none' },
  });

const random = seededRandom(1);
let directory: string;
let clock: VirtualClock;
let asksMs: number[];
/** What the sync service says to a question for the late weights. */
let answer: Failure | undefined;
let served: string[];
/** Models of the shared state. */
let catalogue: Manifest[];
/** What is told of the models, the last of each. */
let told: Map<string, string>;
let loads: string[];
/** What the inference process says to each golden picture. */
let outcome: Outcome;
let picture: string;
let replica: Replica;
let loader: ModelLoader;
let newLoader: () => ModelLoader;
/** The catalogue has changed. */
let news: PromiseWithResolvers<void>;

beforeEach(async () => {
  [clock, asksMs, served, loads, told] = [new VirtualClock(), [], [], [], new Map()];
  answer = undefined;
  catalogue = [manifestOf('late', 'a'), manifestOf('other', 'b')];
  directory = await mkdtemp(join(tmpdir(), 'meridian-golden-'));
  picture = join(directory, 'cat.jpg');
  await writeFile(picture, 'a picture');
  replica = new Replica({ client: { watch }, clock, logger, random });
  const store = {
    start: () => Promise.resolve(),
    ensure: async ({ digest }: Blob) => {
      if (digest === digestOf('c')) return picture;
      if (digest !== digestOf('a')) return 'here';
      asksMs.push(clock.monotonicMs());
      if (answer !== undefined) throw answer;
      return 'here';
    },
  };
  const manifests = {
    start: () => Promise.resolve(),
    find: () => Promise.resolve(undefined),
    keep: () => Promise.resolve(),
  };
  newLoader = () =>
    new ModelLoader({
      ...{ replica, store, manifests, clock, random, logger, worker: 'w' },
      slots: {
        load: async ({ name }) => void loads.push(name),
        forget: ({ name }) => void loads.push(`${name} forgotten`),
        run: () => Promise.resolve(outcome),
      },
      client: {
        reportReady: async ({ modelDigest, ready, problem }) => {
          told.set(modelDigest ?? '', ready ? 'ready' : (problem ?? ''));
          return { $typeName: 'meridian.state.v1.ReportReadyResponse', versionVector: '' };
        },
      },
      onServed: ({ name }) => void served.push(name),
    });
  loader = newLoader();
});

afterEach(async () => {
  await loader.stop();
  await replica.stop();
  await rm(directory, { recursive: true, force: true });
});

async function* watch(_: unknown, options?: { signal?: AbortSignal | undefined }): AsyncGenerator<WatchResponse> {
  const actor = actorId('beijing', 1n);
  const stopped = new Promise<void>((resolve) =>
    options?.signal?.addEventListener('abort', () => resolve(), { once: true }),
  );
  for (let counter = 0; options?.signal?.aborted !== true; ) {
    const entries = catalogue.map((manifest) => {
      const { name } = manifest;
      const record = { name, modelDigest: modelDigest(manifest), manifest: canonicalJson(manifest) };
      const value = toBinary(ModelRecordSchema, create(ModelRecordSchema, record));
      const dot = `${actor}=${++counter}`;
      return { key: modelKey(name), versions: [{ dot, hlc: '0000000000010000', value }], context: dot };
    });
    yield create(WatchResponseSchema, { entries, versionVector: `${actor}=${counter}`, caughtUp: true });
    news = Promise.withResolvers();
    await Promise.race([news.promise, stopped]);
  }
}

async function begin(): Promise<void> {
  await replica.start();
  await loader.start();
}

test('weights that are on their way are asked for as often as the sync service says, and hold up no other model', async () => {
  answer = new Failure('UNAVAILABLE', 'on its way', { reason: 'BLOB_ON_ITS_WAY', retryDelayMs: 500 });
  await begin();
  await clock.advanceAsync(60_000);
  expect(served).toEqual(['other']);
  const gaps = asksMs.slice(1).map((at, i) => at - (asksMs[i] ?? 0));
  expect(Math.max(...gaps)).toBeLessThanOrEqual(501);
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(500);
  answer = undefined;
  await clock.advanceAsync(501);
  expect(served).toEqual(['other', 'late']);
});

test('a sync service that fails otherwise is asked ever more seldom, even when weights were on their way before', async () => {
  answer = new Failure('UNAVAILABLE', 'on its way', { reason: 'BLOB_ON_ITS_WAY', retryDelayMs: 500 });
  await begin();
  await clock.advanceAsync(30_000);
  answer = new Failure('UNAVAILABLE', 'no connection');
  const before = asksMs.length;
  await clock.advanceAsync(60_000);
  expect(asksMs.length - before).toBeLessThan(15);
});

const GOLDEN = [{ file: 'cat.jpg', digest: digestOf('c'), bytes: 9, expect: [{ label: 'cat' }] }];
const failed = (code: 'INTERNAL' | 'INVALID_ARGUMENT', retryable: boolean): Outcome => ({
  kind: 'failure',
  failure: { code, reason: 'X', message: 'no answer', retryable },
});
/** Time passes until it holds. That the picture is read from a disk takes real time, too. */
async function until(condition: () => boolean): Promise<void> {
  for (let step = 0; !condition() && step < 10_000; step++) {
    await new Promise((tick) => setImmediate(tick));
    await clock.advanceAsync(100);
  }
  expect(condition()).toBe(true);
}

test('a model that does not answer its golden picture is loaded once, whoever asks for it', async () => {
  const wrong = manifestOf('wrong', 'b', GOLDEN);
  catalogue = [wrong, manifestOf('other', 'b')];
  outcome = failed('INVALID_ARGUMENT', false);
  await begin();
  await until(() => told.has(modelDigest(wrong)));
  await clock.advanceAsync(600_000);
  expect([served, loads]).toEqual([['other'], ['other', 'wrong', 'wrong forgotten']]);
  for (let claim = 0; claim < 3; claim++)
    expect(await loader.acquire(modelDigest(wrong)).catch(Failure.from)).toMatchObject({
      ...{ code: 'FAILED_PRECONDITION', reason: 'GOLDEN_PICTURE_FAILED', retryable: false },
    });
  expect(loads).toHaveLength(3);
  expect(told.get(modelDigest(wrong))).toBe('golden picture cat.jpg: no answer');
});

test('a version that follows one that does not work is tried, and so is that one after a restart of the worker', async () => {
  catalogue = [manifestOf('wrong', 'b', GOLDEN)];
  outcome = failed('INVALID_ARGUMENT', false);
  await begin();
  await until(() => loads.length === 2);
  await loader.stop();
  loader = newLoader();
  await begin();
  await until(() => loads.length === 4);
  expect([served, loads]).toEqual([[], ['wrong', 'wrong forgotten', 'wrong', 'wrong forgotten']]);
  catalogue = [manifestOf('wrong', 'b')];
  news.resolve();
  await until(() => served.length > 0);
  expect([served, loads.length]).toEqual([['wrong'], 5]);
});

test('one whose inference process ends at the golden picture gets some more chances, with pauses between', async () => {
  const crashing = manifestOf('crashing', 'b', GOLDEN);
  catalogue = [crashing];
  outcome = failed('INTERNAL', true);
  await begin();
  await until(() => loads.length === 2);
  for (let claim = 0; claim < 5; claim++) await loader.acquire(modelDigest(crashing)).catch(() => undefined);
  expect(loads).toEqual(['crashing', 'crashing forgotten']);
  expect(told.get(modelDigest(crashing))).toBeUndefined();
  await until(() => told.has(modelDigest(crashing)));
  await clock.advanceAsync(600_000);
  expect(loads).toHaveLength(6);
  expect(told.get(modelDigest(crashing))).toBe('golden picture cat.jpg: no answer');
});
