import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { RecognitionSchema } from '@meridian/contracts/recognition';
import { canonicalJson, ensureCatalogue, type Manifest, modelDigest } from '@meridian/models';
import { createLogger, systemClock, systemRandom } from '@meridian/runtime';
import sharp from 'sharp';
import type { Outcome } from '../claims/held-claim.ts';
import type { PreparedModel } from './loaded-models.ts';
import { Supervisor } from './supervisor.ts';

const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });
let directory: string;
let model: PreparedModel;
/** Loads like the default model, but has no time for any picture. */
let impatient: PreparedModel;
let picture: Buffer;
let supervisor: Supervisor | undefined;
let freed: () => void = () => undefined;

function prepared(number: number, manifest: Manifest, files: Record<string, string>): PreparedModel {
  const { name, timeoutMs } = manifest;
  const loadOrder = JSON.stringify({ manifest: canonicalJson(manifest), files });
  return { number, name, digest: modelDigest(manifest), timeoutMs, loadOrder };
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'meridian-supervisor-'));
  const catalogue = await ensureCatalogue({ directory });
  const found = catalogue.find(({ name }) => name === 'centernet-512');
  if (found === undefined) throw new Error('the catalogue has no centernet-512');
  const files = Object.fromEntries(found.blobs.map(({ digest, path }) => [digest, path]));
  model = prepared(1, found.manifest, files);
  impatient = { ...prepared(2, found.manifest, files), timeoutMs: 1 };
  picture = await bigPicture();
}, 60_000);

afterAll(() => rm(directory, { recursive: true, force: true }));
afterEach(async () => {
  await supervisor?.stop();
  supervisor = undefined;
});

/** 12 megapixels of noise: decoding alone takes longer than any test needs to get in between. */
async function bigPicture(): Promise<Buffer> {
  const width = 4000;
  const height = 3000;
  const noise = Buffer.allocUnsafe(width * height * 3);
  for (let i = 0; i < noise.length; i += 1) noise[i] = (i * 2654435761) >>> 24;
  return sharp(noise, { raw: { width, height, channels: 3 } })
    .png({ compressionLevel: 1 })
    .toBuffer();
}

async function smallPicture(): Promise<Buffer> {
  return sharp({ create: { width: 320, height: 200, channels: 3, background: '#888' } })
    .jpeg()
    .toBuffer();
}

async function ready(memoryBytesMax = 4 * 2 ** 30): Promise<Supervisor> {
  supervisor = new Supervisor({
    clock: systemClock,
    random: systemRandom,
    logger,
    limits: { inFlightMax: 3, memoryBytesMax, modelsLoadedMax: 4 },
    onFree: () => freed(),
  });
  supervisor.start();
  await supervisor.load(model);
  return supervisor;
}

const reasonOf = (outcome: Outcome) => (outcome.kind === 'failure' ? outcome.failure.reason : outcome.kind);

async function alive(child: Supervisor, not: number): Promise<void> {
  while (child.free === 0 || child.pid === not)
    await new Promise<void>((resolve) => {
      freed = resolve;
    });
}

describe('an inference process under supervision', () => {
  test('recognises, several pictures at a time, in order', async () => {
    const child = await ready();
    const small = await smallPicture();
    const order: number[] = [];
    const outcomes = await Promise.all(
      [0, 1, 2].map((n) => child.run(model, n === 0 ? picture : small).finally(() => order.push(n))),
    );
    expect(order).toEqual([0, 1, 2]);
    expect(outcomes.map(reasonOf)).toEqual(['recognition', 'recognition', 'recognition']);
    const [, second] = outcomes;
    if (second?.kind !== 'recognition') throw new Error('no recognition');
    expect(fromBinary(RecognitionSchema, second.recognition)).toMatchObject({ width: 320, height: 200 });
    expect(second.inferenceMs).toBeGreaterThan(0);
  });

  test('bad pictures are answered and cost the others nothing', async () => {
    const child = await ready();
    const small = await smallPicture();
    const bad = [Buffer.alloc(0), Buffer.from('GIF89a not accepted'), small.subarray(0, small.length / 2)];
    const outcomes = await Promise.all(bad.map((bytes) => child.run(model, bytes)));
    expect(outcomes.map(reasonOf)).toEqual(['PICTURE_EMPTY', 'PICTURE_FORMAT', 'PICTURE_TRUNCATED']);
    expect(reasonOf(await child.run(model, small))).toBe('recognition');
  });

  test('killed with one picture: that picture fails, retryable, and the next process goes on', async () => {
    const child = await ready();
    const { pid } = child;
    const running = child.run(model, picture);
    process.kill(pid, 'SIGKILL');
    expect(await running).toMatchObject({
      failure: { code: 'INTERNAL', reason: 'PICTURE_CRASHED_WORKER', retryable: true },
    });
    await alive(child, pid);
    expect(reasonOf(await child.run(model, await smallPicture()))).toBe('recognition');
  });

  test('killed with several pictures: each runs again alone, none is blamed', async () => {
    const child = await ready();
    const small = await smallPicture();
    const running = [picture, small, small].map((bytes) => child.run(model, bytes));
    process.kill(child.pid, 'SIGKILL');
    expect((await Promise.all(running)).map(reasonOf)).toEqual(['recognition', 'recognition', 'recognition']);
  });

  test('stopped: found without any picture in it, by its silence', async () => {
    const child = await ready();
    const { pid } = child;
    process.kill(pid, 'SIGSTOP');
    await alive(child, pid);
    expect(reasonOf(await child.run(model, await smallPicture()))).toBe('recognition');
  });

  test('not blamed for a silence in which its parent did not run', async () => {
    const child = await ready();
    const { pid } = child;
    // Longer than any silence that is allowed; the answers wait in the socket meanwhile.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3_000);
    expect(reasonOf(await child.run(model, await smallPicture()))).toBe('recognition');
    expect(child.pid).toBe(pid);
  });

  test('stopped with a picture in it: the picture fails as hung', async () => {
    const child = await ready();
    const running = child.run(model, picture);
    process.kill(child.pid, 'SIGSTOP');
    expect(reasonOf(await running)).toBe('PICTURE_HUNG_WORKER');
  });

  test('a picture beyond its time: it fails as hung, those behind it run again', async () => {
    const child = await ready();
    await child.load(impatient);
    const { pid } = child;
    const running = [child.run(impatient, await smallPicture()), child.run(model, await smallPicture())];
    process.kill(pid, 'SIGSTOP');
    expect((await Promise.all(running)).map(reasonOf)).toEqual(['PICTURE_HUNG_WORKER', 'recognition']);
    expect(child.pid).not.toBe(pid);
  });

  test('too much memory: replaced when it has nothing to do, no picture fails', async () => {
    const child = await ready(1);
    const { pid } = child;
    const small = await smallPicture();
    expect(reasonOf(await child.run(model, small))).toBe('recognition');
    await alive(child, pid);
    expect(reasonOf(await child.run(model, small))).toBe('recognition');
  });

  test('weights that are not what the manifest says are refused', async () => {
    const child = await ready();
    const order = JSON.parse(model.loadOrder) as { manifest: string; files: Record<string, string> };
    const [digest = ''] = Object.keys(order.files);
    const loadOrder = JSON.stringify({ ...order, files: { [digest]: import.meta.filename } });
    await expect(child.load({ ...model, number: 9, loadOrder })).rejects.toMatchObject({
      reason: 'MODEL_DIGEST_MISMATCH',
    });
  });

  test('holds no environment of its parent, and ends with its sockets', async () => {
    const child = await ready();
    const environment = await readFile(`/proc/${child.pid}/environ`, 'utf8');
    expect(environment).not.toContain('PATH=');
    expect(environment).not.toContain('HOME=');
  });
});
