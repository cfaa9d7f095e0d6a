import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { formatDot, VersionVector } from '@meridian/causality';
import { Failure } from '@meridian/failure';
import { canonicalJson, DEFAULT_MODEL, type Manifest, modelDigest, parseManifest } from '@meridian/models';
import { isConflicted, Replica } from '@meridian/replica';
import { createLogger, systemClock, systemRandom } from '@meridian/runtime';
import { stringify } from 'yaml';
import { type RegionBrokers, startRegionBrokers, until } from '../support/region-brokers.ts';
import { createStreams, SyncProcess } from '../support/sync-process.ts';

/**
 * Goal: the shared state across three regions as it is run: sync services as processes, real brokers with TLS, keys and
 * permissions, the article's delays between them, replicas over gRPC; kills, cuts and heals.
 */
const REGIONS = ['beijing', 'shanghai', 'guangzhou'] as const;
type Region = (typeof REGIONS)[number];
const HEAL_MS = 20_000;
const WEIGHTS_MS = 40_000;
const QUICK = {
  MERIDIAN_FETCH_INTERVAL_MS: '2s',
  MERIDIAN_PEER_WAIT_MS: '1s',
  MERIDIAN_BLOB_BYTES_PER_SECOND_MAX: '2MiB',
};
const logger = createLogger({ name: 'test', region: 'test', level: 'silent' });

let directory: string;
let brokers: RegionBrokers;
const syncs = new Map<Region, SyncProcess>();
const replicas = new Map<Region, Replica>();

const sync = (region: Region) => syncs.get(region) as SyncProcess;
const replica = (region: Region) => replicas.get(region) as Replica;
const vectors = () => REGIONS.map((region) => replica(region).vector().toString());
const equal = () => new Set(vectors()).size === 1 || `vectors differ:\n${vectors().join('\n')}`;
const conflicts = () =>
  REGIONS.flatMap((region) => [...replica(region).entries()].filter(isConflicted).map(({ key }) => `${region} ${key}`));

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'meridian-state-'));
  await install('small');
  await install('large');
  brokers = await startRegionBrokers({ directory, regions: REGIONS });
  await Promise.all(REGIONS.map((region) => createStreams(brokers, region)));
  for (const region of REGIONS) {
    const environment = { MERIDIAN_CATALOGUE_DIRECTORY: join(directory, 'models'), ...QUICK };
    syncs.set(region, new SyncProcess(brokers, { region, directory, environment }));
  }
  await Promise.all(REGIONS.map((region) => sync(region).start()));
  for (const region of REGIONS) {
    const client = sync(region).client('scheduler');
    const own = new Replica({ client, clock: systemClock, logger, random: systemRandom });
    replicas.set(region, own);
    await own.start();
  }
}, 90_000);

afterAll(async () => {
  for (const own of replicas.values()) await own.stop();
  for (const service of syncs.values()) service.closeChannels();
  await Promise.all([...syncs.values()].map((service) => service.stop()));
  await brokers?.stop();
  await rm(directory, { recursive: true, force: true });
}, 60_000);

async function install(name: string): Promise<void> {
  const weights = Buffer.from(`weights of ${name}`);
  const manifest = manifestOf(name, weights);
  const models = join(directory, 'models');
  await mkdir(join(models, 'blobs'), { recursive: true });
  await mkdir(join(models, name), { recursive: true });
  await writeFile(join(models, 'blobs', sha256(weights)), weights);
  await writeFile(join(models, name, 'manifest.yaml'), stringify(manifest));
  await writeFile(join(models, name, 'digest'), modelDigest(manifest));
}

function manifestOf(name: string, weights: Uint8Array, description = ''): Manifest {
  const input = { name: 'x', width: 224, height: 224, fit: 'stretch', layout: 'NCHW', type: 'float32' };
  return parseManifest({
    ...{ name, description, licence: 'MIT', source: 'https://example.org', task: 'classification' },
    parts: { model: { file: 'model.onnx', digest: `sha256:${sha256(weights)}`, bytes: weights.length, input } },
    decoder: { kind: 'classifier', output: 'y', activation: 'none' },
    labels: ['cat'],
  });
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function addModel(region: Region, manifest: Manifest, weights: Uint8Array) {
  async function* parts() {
    yield { part: { case: 'manifest', value: canonicalJson(manifest) } } as const;
    yield { part: { case: 'start', value: { digest: `sha256:${sha256(weights)}` } } } as const;
    for (let at = 0; at < weights.length; at += 100_000)
      yield { part: { case: 'chunk', value: weights.subarray(at, at + 100_000) } } as const;
  }
  return sync(region).client('operator').addModel(parts(), { timeoutMs: 20_000 });
}

async function readBlob(region: Region, digest: string, offset = 0): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  const request = { digest, offset: BigInt(offset) };
  for await (const { chunk } of sync(region).client('worker').readBlob(request, { timeoutMs: 10_000 }))
    chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** As a worker reads: weights that are on their way are asked for again when the answer says so. */
async function readOnceHere(region: Region, digest: string): Promise<Buffer> {
  const untilMs = systemClock.monotonicMs() + WEIGHTS_MS;
  for (;;) {
    const read = await readBlob(region, digest).catch(Failure.from);
    if (!(read instanceof Failure)) return read;
    if (read.reason !== 'BLOB_ON_ITS_WAY' || systemClock.monotonicMs() > untilMs) throw read;
    await systemClock.sleep(read.retryDelayMs ?? 0);
  }
}

const failureOf = (promise: Promise<unknown>) => promise.then(() => undefined, Failure.from);

describe('three regions', () => {
  test('agree on the catalogue that each of them offered, without a conflict', async () => {
    await Promise.all(REGIONS.map((region) => replica(region).caughtUp));
    await until(() => (vectors()[0] !== '' ? equal() : 'nothing yet'), HEAL_MS);
    for (const region of REGIONS) {
      expect(
        replica(region)
          .models()
          .map(({ name }) => name),
      ).toEqual(['large', 'small']);
      expect(replica(region).model('small')?.digest).toBe(replica('beijing').model('small')?.digest);
    }
    expect(conflicts()).toEqual([]);
  });

  test('a model that an operator adds is known everywhere, and its weights get there', async () => {
    const weights = Buffer.alloc(450_000, 'w');
    const manifest = manifestOf('added', weights);
    const digest = `sha256:${sha256(weights)}`;
    const answer = await addModel('beijing', manifest, weights);
    expect(answer).toMatchObject({ model: 'added', modelDigest: modelDigest(manifest) });
    const vector = VersionVector.parse(answer.versionVector) ?? VersionVector.EMPTY;
    const dots = Array.from(vector.entries(), ([actor, counter]) => ({ actor, counter }));
    for (const region of REGIONS) {
      expect(await replica(region).waitFor(dots, 5_000)).toBe(true);
      expect(replica(region).modelByDigest(answer.modelDigest)?.name).toBe('added');
    }
    expect((await readBlob('beijing', digest)).equals(weights)).toBe(true);
    expect((await readBlob('beijing', digest, 449_990)).toString()).toBe('wwwwwwwwww');
    for (const region of ['shanghai', 'guangzhou'] as const)
      expect((await readOnceHere(region, digest)).equals(weights)).toBe(true);
    const nobodys = readBlob('shanghai', `sha256:${'0'.repeat(64)}`);
    expect(await failureOf(nobodys)).toMatchObject({ code: 'NOT_FOUND', reason: 'BLOB_NOT_HERE' });
    const again = await addModel('beijing', manifest, weights);
    expect(again.versionVector).toBe(answer.versionVector);
  });

  test('weights that are not those of the manifest are refused, and nothing of them is kept', async () => {
    const weights = Buffer.from('right');
    const manifest = manifestOf('wrong', weights);
    const before = replica('beijing').vector().toString();
    const digest = `sha256:${sha256(weights)}`;
    async function* parts() {
      yield { part: { case: 'manifest', value: canonicalJson(manifest) } } as const;
      yield { part: { case: 'start', value: { digest } } } as const;
      yield { part: { case: 'chunk', value: Buffer.from('wrong') } } as const;
    }
    const failure = await failureOf(sync('beijing').client('operator').addModel(parts(), { timeoutMs: 10_000 }));
    expect(failure).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'BLOB_DIGEST' });
    expect(await failureOf(readBlob('beijing', digest))).toMatchObject({ reason: 'BLOB_NOT_HERE' });
    expect(replica('beijing').vector().toString()).toBe(before);
  });

  test('a region is ready for a model once one of its workers says so', async () => {
    const modelDigestSmall = replica('shanghai').model('small')?.digest ?? '';
    const worker = sync('shanghai').client('worker');
    const problemOf = async (region: (typeof REGIONS)[number]) => {
      const { models } = await sync(region).client('client').listModels({});
      return models.find(({ name }) => name === 'small')?.problem;
    };
    const problem = 'the manifest names input x, the model has y';
    await worker.reportReady({ modelDigest: modelDigestSmall, worker: 'w1', ready: false, problem });
    expect([await problemOf('shanghai'), await problemOf('beijing')]).toEqual([problem, '']);
    await worker.reportReady({ modelDigest: modelDigestSmall, worker: 'w1', ready: true });
    await until(() => replica('guangzhou').readyRegions(modelDigestSmall).has('shanghai') || 'not ready yet');
    const { models } = await sync('beijing').client('client').listModels({});
    await until(() => replica('beijing').readyRegions(modelDigestSmall).has('shanghai') || 'not ready yet');
    expect(models.map(({ name }) => name)).toEqual(['added', 'large', 'small']);
    expect(await problemOf('shanghai')).toBe('');
    expect(
      await failureOf(worker.reportReady({ modelDigest: `sha256:${'0'.repeat(64)}`, worker: 'w1', ready: true })),
    ).toMatchObject({ reason: 'MODEL_UNKNOWN' });
  });

  test('records are waited for by their keys, and what is still missing in the end is named', async () => {
    const small = [...replica('beijing').entries('model/small')][0];
    const [version] = small?.versions ?? [];
    if (version === undefined) throw new Error('no record');
    const record = { key: 'model/small', dot: formatDot(version.dot) };
    const never = { key: 'model/small', dot: formatDot({ ...version.dot, counter: version.dot.counter + 1_000 }) };
    const worker = sync('shanghai').client('worker');
    const ask = (request: Parameters<typeof worker.awaitRecords>[0]) =>
      worker.awaitRecords({ fromRegion: 'beijing', timeoutMs: 500, ...request }, { timeoutMs: 5_000 });
    const found = await ask({ records: [record] });
    expect([found.missing, VersionVector.parse(found.versionVector)?.size]).toEqual([[], expect.any(Number)]);
    expect((await ask({ records: [record, never] })).missing).toMatchObject([never]);
    expect(await failureOf(ask({ records: [{ key: 'a', dot: 'no dot' }] }))).toMatchObject({
      reason: 'RECORD_INVALID',
    });
    const many = Array.from({ length: 17 }, () => record);
    expect(await failureOf(ask({ records: many }))).toMatchObject({ reason: 'RECORD_INVALID' });
    for (const client of [sync('shanghai').client('client'), sync('shanghai').client('worker', 'beijing')])
      expect(await failureOf(client.awaitRecords({ records: [record] }))).toMatchObject({ code: 'PERMISSION_DENIED' });
  });

  test('only the region’s own services see its state, and only operators add models', async () => {
    const watch = async (client: ReturnType<SyncProcess['client']>) => {
      for await (const _ of client.watch({ versionVector: '' }, { timeoutMs: 5_000 })) return;
    };
    const denied = { code: 'PERMISSION_DENIED' };
    expect(await failureOf(watch(sync('beijing').client('client')))).toMatchObject(denied);
    expect(await failureOf(watch(sync('beijing').client('worker', 'shanghai')))).toMatchObject(denied);
    async function* nothing() {}
    expect(await failureOf(sync('beijing').client('worker').addModel(nothing()))).toMatchObject(denied);
  });
});

describe('weights on their way', () => {
  /** Seconds for all of it, as fast as the region takes it. */
  const weights = randomBytes(6 * 2 ** 20);
  const digest = `sha256:${sha256(weights)}`;

  test('come though the process that fetches them is killed and the link to their region is cut', async () => {
    await addModel('beijing', manifestOf('heavy', weights), weights);
    await until(() => shanghaiHasPart() || 'nothing has come');
    await sync('shanghai').restart('SIGKILL');
    // The other link stays: what guangzhou has by then, or has later, comes from there.
    brokers.emulator.cut('beijing', 'shanghai');
    try {
      expect((await readOnceHere('shanghai', digest)).equals(weights)).toBe(true);
    } finally {
      brokers.emulator.heal();
    }
    await sync('shanghai').client('operator').removeModel({ name: 'heavy' });
    await until(() => REGIONS.every((region) => replica(region).model('heavy') === undefined) && equal(), HEAL_MS);
  });

  const shanghaiHasPart = () => {
    const folder = join(directory, 'sync', 'shanghai', 'blobs');
    return existsSync(join(folder, '.partial', sha256(weights))) || existsSync(join(folder, sha256(weights)));
  };
});

describe('removing a model', () => {
  test('takes it from every region; the default one only by force, and only operators may', async () => {
    const operator = sync('guangzhou').client('operator');
    await addModel('beijing', manifestOf('short-lived', Buffer.from('s')), Buffer.from('s'));
    await until(() => replica('guangzhou').model('short-lived') !== undefined || 'not known yet');
    expect(await failureOf(sync('guangzhou').client('worker').removeModel({ name: 'short-lived' }))).toMatchObject({
      code: 'PERMISSION_DENIED',
    });
    await operator.removeModel({ name: 'short-lived' });
    await until(() => REGIONS.every((region) => replica(region).model('short-lived') === undefined) || 'still known');
    expect(await failureOf(operator.removeModel({ name: 'short-lived' }))).toMatchObject({ reason: 'MODEL_UNKNOWN' });
    await addModel('guangzhou', manifestOf(DEFAULT_MODEL, Buffer.from('d')), Buffer.from('d'));
    expect(await failureOf(operator.removeModel({ name: DEFAULT_MODEL }))).toMatchObject({
      ...{ code: 'FAILED_PRECONDITION', reason: 'DEFAULT_MODEL' },
    });
    await operator.removeModel({ name: DEFAULT_MODEL, force: true });
    await until(() => REGIONS.every((region) => replica(region).model(DEFAULT_MODEL) === undefined) || 'still known');
    await until(() => equal(), HEAL_MS);
  });
});

describe('restarts', () => {
  test('a killed sync service comes back with what it had, writes nothing, and replicas go on from where they were', async () => {
    const before = vectors();
    for (const signal of ['SIGKILL', 'SIGTERM', 'SIGKILL'] as const) await sync('beijing').restart(signal);
    const { versionVector } = await sync('beijing').client('client').listModels({});
    expect(versionVector).toBe(before[0]);
    const weights = Buffer.from('weights of small');
    const { modelDigest: digest } = await addModel('shanghai', manifestOf('small', weights, 'second'), weights);
    await until(() => (replica('beijing').model('small')?.digest === digest ? equal() : 'not there yet'), HEAL_MS);
    const count = (text: string) => (text === '' ? 0 : text.split(',').length);
    expect(vectors().map(count)).toEqual(before.map(count));
  });

  test('a region that is cut off restarts and serves; after the heal vectors are equal and nothing conflicts', async () => {
    const before = vectors()[0]?.split(',').length ?? 0;
    brokers.emulator.cut('beijing', 'shanghai');
    brokers.emulator.cut('beijing', 'guangzhou');
    const vector = replica('beijing').vector().toString();
    for (let i = 0; i < 3; i++) await sync('beijing').restart('SIGKILL');
    expect((await sync('beijing').client('client').listModels({})).models).toHaveLength(3);
    expect((await sync('beijing').client('client').listModels({})).versionVector).toBe(vector);
    // The first write of a life opens one epoch, the second none; and the ended one leaves the vectors.
    for (const name of ['cut-a', 'cut-b'])
      await addModel('beijing', manifestOf(name, Buffer.from(name)), Buffer.from(name));
    await addModel('shanghai', manifestOf('cut-c', Buffer.from('c')), Buffer.from('c'));
    brokers.emulator.heal();
    const names = ['cut-a', 'cut-b', 'cut-c'];
    const haveAll = () => REGIONS.every((region) => names.every((name) => replica(region).model(name) !== undefined));
    await until(() => (haveAll() ? equal() : 'not all models are everywhere'), HEAL_MS);
    expect(conflicts()).toEqual([]);
    expect(vectors()[0]?.split(',').length).toBe(before);
  });

  test('a broker that is killed and comes back loses nothing that was acknowledged', async () => {
    await addModel('guangzhou', manifestOf('kept', Buffer.from('k')), Buffer.from('k'));
    await brokers.of('guangzhou').kill();
    const during = addModel('guangzhou', manifestOf('during', Buffer.from('d')), Buffer.from('d'));
    await brokers.of('guangzhou').launch();
    await during;
    await until(() => (replica('beijing').model('during') !== undefined ? equal() : 'not there yet'), HEAL_MS);
    await sync('guangzhou').restart('SIGKILL');
    const { models } = await sync('guangzhou').client('client').listModels({});
    expect(models.map(({ name }) => name)).toEqual(expect.arrayContaining(['kept', 'during']));
  });
});
