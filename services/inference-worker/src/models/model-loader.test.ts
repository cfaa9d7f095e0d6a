import { create, toBinary } from '@bufbuild/protobuf';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { actorId } from '@meridian/causality';
import { ModelRecordSchema, type WatchResponse, WatchResponseSchema } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { canonicalJson, type Manifest, modelDigest, parseManifest } from '@meridian/models';
import { modelKey, Replica } from '@meridian/replica';
import { createLogger, seededRandom, VirtualClock } from '@meridian/runtime';
import { ModelLoader } from './model-loader.ts';
import type { Blob } from './model-store.ts';

/** Goal: models are served soon after their weights arrive, however long that took. Virtual time; weights by script. */
const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });
const digestOf = (letter: string) => `sha256:${letter.repeat(64)}`;
const manifestOf = (name: string, letter: string): Manifest =>
  parseManifest({
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
let clock: VirtualClock;
let asksMs: number[];
/** What the sync service says to a question for the late weights. */
let answer: Failure | undefined;
let served: string[];
let replica: Replica;
let loader: ModelLoader;

beforeEach(async () => {
  [clock, asksMs, served] = [new VirtualClock(), [], []];
  replica = new Replica({ client: { watch }, clock, logger, random });
  const store = {
    start: () => Promise.resolve(),
    ensure: async ({ digest }: Blob) => {
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
  loader = new ModelLoader({
    ...{ replica, store, manifests, clock, random, logger, worker: 'w' },
    slots: { load: () => Promise.resolve(), run: () => Promise.reject(new Error('there are no golden pictures')) },
    client: {
      reportReady: () => Promise.resolve({ $typeName: 'meridian.state.v1.ReportReadyResponse', versionVector: '' }),
    },
    onServed: ({ name }) => void served.push(name),
  });
  await replica.start();
});

afterEach(async () => {
  await loader.stop();
  await replica.stop();
});

async function* watch(_: unknown, options?: { signal?: AbortSignal | undefined }): AsyncGenerator<WatchResponse> {
  const actor = actorId('beijing', 1n);
  const entries = [manifestOf('late', 'a'), manifestOf('other', 'b')].map((manifest, i) => {
    const { name } = manifest;
    const record = { name, modelDigest: modelDigest(manifest), manifest: canonicalJson(manifest) };
    const value = toBinary(ModelRecordSchema, create(ModelRecordSchema, record));
    const dot = `${actor}=${i + 1}`;
    return { key: modelKey(name), versions: [{ dot, hlc: '0000000000010000', value }], context: dot };
  });
  yield create(WatchResponseSchema, { entries, versionVector: `${actor}=2`, caughtUp: true });
  await new Promise((resolve) => options?.signal?.addEventListener('abort', resolve, { once: true }));
}

test('weights that are on their way are asked for as often as the sync service says, and hold up no other model', async () => {
  answer = new Failure('UNAVAILABLE', 'on its way', { reason: 'BLOB_ON_ITS_WAY', retryDelayMs: 500 });
  await loader.start();
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
  await loader.start();
  await clock.advanceAsync(30_000);
  answer = new Failure('UNAVAILABLE', 'no connection');
  const before = asksMs.length;
  await clock.advanceAsync(60_000);
  expect(asksMs.length - before).toBeLessThan(15);
});
