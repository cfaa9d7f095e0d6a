import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { HybridLogicalClock, VersionVector } from '@meridian/causality';
import { subject } from '@meridian/contracts';
import type { Result } from '@meridian/contracts/collector';
import { PriorityClass } from '@meridian/contracts/recognition';
import { connectNats, Emitter, type MessageBus } from '@meridian/messaging';
import { canonicalJson, ensureCatalogue, type Manifest, modelDigest, parseManifest } from '@meridian/models';
import { loadTls } from '@meridian/rpc';
import { createLogger, systemClock } from '@meridian/runtime';
import { formatTopology } from '@meridian/topology';
import { createNoopMeter } from '@opentelemetry/api';
import sharp from 'sharp';
import { stringify } from 'yaml';
import type { Mutant } from '../simulation/mutants/mutant.ts';
import { modelDirectory } from '../support/photographs.ts';
import { type RegionBrokers, startRegionBrokers, until } from '../support/region-brokers.ts';
import { ScriptedOwner } from '../support/scripted-owner.ts';
import { createStreams, SyncProcess } from '../support/sync-process.ts';
import { WorkerProcess } from '../support/worker-process.ts';

/**
 * Goal: no task runs with less of the shared state than it was placed with. A claim of beijing overtakes the replication of
 * the model that it names, on its way to a worker in shanghai.
 *
 * Method: real brokers over emulated links, real sync services and a real worker; beijing's scheduler is scripted, so that
 * the same claim can be sent as an owner without causality would. The two versions of the model have the same weights and
 * another label: the label in a result says which version ran. The third region, guangzhou, never answers anybody.
 */
const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });
const NOBODY = '127.0.0.1:1';
const CROWD = 100;
/** Of the worker whose record never comes: far longer than an answer to the claim beside it takes. */
const RECORD_WAIT = { MERIDIAN_RECORD_WAIT_MS: '4s' };
/** Nothing but a delta or a request brings anything while a test runs. */
const SYNC = { MERIDIAN_FETCH_INTERVAL_MS: '1h', MERIDIAN_PEER_WAIT_MS: '500' };

let directory: string;
let catalogue: string;
let brokers: RegionBrokers;
let bus: MessageBus;
let owner: ScriptedOwner;
let worker: WorkerProcess;
let template: Manifest;
let photo: Buffer;
/** Of the first version of `turning`. */
let firstDot: string;
let tasks = 0;
const syncs = new Map<string, SyncProcess>();
const sync = (region: 'beijing' | 'shanghai') => syncs.get(region) as SyncProcess;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'meridian-causal-'));
  catalogue = join(directory, 'models');
  const found = await ensureCatalogue({ directory: modelDirectory });
  const model = found.find(({ name }) => name === 'blazeface');
  if (model === undefined) throw new Error('no model to vary');
  template = model.manifest;
  await mkdir(catalogue, { recursive: true });
  await symlink(join(modelDirectory, 'blobs'), join(catalogue, 'blobs'));
  for (const name of ['turning', 'steady']) await install(versionOf(name, 'one'));
  photo = await sharp({ create: { width: 320, height: 200, channels: 3, background: '#864' } })
    .jpeg()
    .toBuffer();
  brokers = await startRegionBrokers({ directory });
  for (const region of ['beijing', 'shanghai']) {
    await createStreams(brokers, region);
    const environment = { MERIDIAN_CATALOGUE_DIRECTORY: catalogue, ...SYNC };
    syncs.set(region, new SyncProcess(brokers, { region, directory, environment }));
  }
  await Promise.all([...syncs.values()].map((service) => service.start()));
  const { scheduler } = brokers.of('beijing').credentials.certificates;
  bus = await connectNats({ ...dial(), emitter: emitter(), meter: createNoopMeter() });
  owner = new ScriptedOwner(loadTls(scheduler));
  owner.pictures.set('*', photo);
  await owner.start();
  worker = await startWorker('state');
  firstDot = await dotOf('shanghai', 'turning');
}, 120_000);

afterEach(() => {
  process.kill(sync('beijing').pid, 'SIGCONT');
  brokers.emulator.heal();
});

afterAll(async () => {
  await worker?.stop();
  await owner?.stop();
  await bus?.close();
  for (const service of syncs.values()) service.closeChannels();
  await Promise.all([...syncs.values()].map((service) => service.stop()));
  await brokers?.stop();
  await rm(directory, { recursive: true, force: true });
}, 60_000);

function dial() {
  const { clientUrl, credentials } = brokers.of('beijing');
  return {
    ...({
      url: clientUrl,
      region: 'beijing',
      role: 'scheduler',
      name: 'scheduler',
      logger,
      clock: systemClock,
    } as const),
    ...{ seedFile: credentials.seedFiles.scheduler, tls: loadTls(credentials.certificates.scheduler) },
  };
}

function emitter(): Emitter {
  return new Emitter({
    ...{ region: 'beijing', service: 'scheduler', replica: '1', incarnation: 'i1', clock: systemClock },
    hlc: new HybridLogicalClock(systemClock.nowMs, { driftMaxMs: 1000 }),
    knowledge: () => VersionVector.EMPTY,
  });
}

/** A worker that goes on at once, whatever its region lacks. */
const CARELESS = {
  name: 'no-causal-wait',
  place: 'services/inference-worker/src/models/preparation.ts',
  find: 'if (await replica.waitForRecords(records, recordWaitMs, signal)) return;',
  replace: 'return;',
  bug: 'a claim is looked at before the records that it was placed with are here',
};

/** In shanghai. Resolves when it can run both models. */
async function startWorker(
  state: string,
  { plant, more = {} }: { plant?: Mutant; more?: Readonly<Record<string, string>> } = {},
): Promise<WorkerProcess> {
  const { clientUrl, credentials } = brokers.of('shanghai');
  const topologyFile = join(directory, 'worker-regions.yaml');
  const regions = brokers.topology.regions.map((region) => ({
    ...region,
    grpcAddress: region.name === 'beijing' ? owner.address : NOBODY,
  }));
  await writeFile(topologyFile, formatTopology({ ...brokers.topology, regions }));
  const before = owner.attachments.length;
  const environment = {
    MERIDIAN_REGION: 'shanghai',
    MERIDIAN_REPLICA: 'worker-1',
    MERIDIAN_TOPOLOGY_FILE: topologyFile,
    MERIDIAN_NATS_URL: clientUrl,
    MERIDIAN_NATS_SEED_FILE: credentials.seedFiles.worker,
    MERIDIAN_TLS_DIRECTORY: credentials.certificates.worker,
    MERIDIAN_STATE_DIRECTORY: join(directory, state),
    MERIDIAN_SYNC_ADDRESS: sync('shanghai').address,
    ...more,
  };
  const started = new WorkerProcess(environment, plant);
  await started.ready;
  const names = ['turning', 'steady'];
  await until(async () => {
    const loaded = names.every((name) => started.log.includes(`"model":"${name}"`));
    return (loaded && owner.attachments.length > before) || `not ready:\n${started.log}`;
  }, 40_000);
  return started;
}

/** A version of a model that finds something in any picture, and calls it by the given label. */
function versionOf(name: string, label: string): Manifest {
  const decoder = { ...template.decoder, scoreThreshold: 0.000001 };
  return parseManifest({ ...template, name, decoder, labels: [label] });
}

async function install(manifest: Manifest): Promise<void> {
  const folder = join(catalogue, manifest.name);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'manifest.yaml'), stringify(manifest));
  await writeFile(join(folder, 'digest'), modelDigest(manifest));
}

/** @returns the record's dot in beijing */
async function add(manifest: Manifest): Promise<string> {
  async function* parts() {
    yield { part: { case: 'manifest', value: canonicalJson(manifest) } } as const;
  }
  await sync('beijing').client('operator').addModel(parts(), { timeoutMs: 10_000 });
  return dotOf('beijing', manifest.name);
}

async function dotOf(region: 'beijing' | 'shanghai', name: string): Promise<string> {
  const { models } = await sync(region).client('client').listModels({});
  return models.find((model) => model.name === name)?.dot ?? '';
}

/** Writes to beijing's state what shanghai does not hear of: its delta is lost on the cut link. */
async function addUnheard(...manifests: Manifest[]): Promise<string> {
  brokers.emulator.cut('beijing', 'shanghai');
  let dot = '';
  for (const manifest of manifests) dot = await add(manifest);
  process.kill(sync('beijing').pid, 'SIGSTOP');
  brokers.emulator.heal();
  await brokers.connected();
  return dot;
}

interface Claim {
  readonly manifest: Manifest;
  readonly dot?: string;
}

/** Places a task of beijing in shanghai. @returns its id */
async function place({ manifest, dot }: Claim): Promise<string> {
  tasks += 1;
  const taskId = `job-1.${tasks}`;
  const requiredRecords = dot === undefined ? [] : [{ key: `model/${manifest.name}`, dot }];
  await bus.publishDurable(
    subject('task', { target: 'shanghai', class: 'normal', model: manifest.name }),
    {
      type: 'meridian.task.claim.v1',
      data: {
        ...{ taskId, jobId: 'job-1', tenant: 'public', fence: 1n, attempt: 1, pictureBytes: photo.length },
        ...{ priority: PriorityClass.NORMAL, model: manifest.name, modelDigest: modelDigest(manifest) },
        ...{ deadlineUnixMs: BigInt(Date.now() + 120_000), placedUnixMs: BigInt(Date.now()) },
        ...{ requires: dot === undefined ? [] : [dot], requiredRecords },
        owner: { region: 'beijing', replica: 'scheduler' },
      },
    },
    { messageId: `${taskId}#1`, timeoutMs: 5_000 },
  );
  return taskId;
}

const answered = (...ids: string[]) =>
  until(() => ids.every((id) => owner.result(id) !== undefined) || `no result:\n${worker.log}`, 30_000);

/** Label of what was found, or the reason of the failure. */
function outcomeOf(id: string): string {
  const outcome: Result['outcome'] | undefined = owner.result(id)?.outcome;
  if (outcome?.case === 'recognition') return outcome.value.objects[0]?.label ?? 'nothing found';
  return outcome?.case === 'error' ? outcome.value.reason : 'no result';
}

describe('a claim that overtakes the model that it names', () => {
  test('waits for it, in no slot and nobody’s way, and is run by that version', async () => {
    const second = versionOf('turning', 'two');
    const dot = await addUnheard(second);
    expect(await dotOf('shanghai', 'turning')).not.toBe(dot);
    const waiting = await Promise.all(Array.from({ length: CROWD }, () => place({ manifest: second, dot })));
    await until(() => new Set(owner.waiting).size === CROWD || `${owner.waiting.length} wait:\n${worker.log}`);
    const others = await Promise.all(Array.from({ length: 20 }, () => place({ manifest: versionOf('steady', 'one') })));
    await answered(...others);
    expect(others.map(outcomeOf)).toEqual(others.map(() => 'one'));
    expect(waiting.filter((id) => owner.result(id) !== undefined || owner.announced.includes(id))).toEqual([]);
    process.kill(sync('beijing').pid, 'SIGCONT');
    await answered(...waiting);
    expect(new Set(waiting.map(outcomeOf))).toEqual(new Set(['two']));
  });

  test('fetches it from the owner’s region at once: the next anti-entropy is an hour away', async () => {
    const third = versionOf('turning', 'three');
    const unrelated = Array.from({ length: 5 }, (_, i) => versionOf(`unrelated-${i}`, 'one'));
    const dot = await addUnheard(...unrelated, third);
    process.kill(sync('beijing').pid, 'SIGCONT');
    const id = await place({ manifest: third, dot });
    await answered(id);
    expect(outcomeOf(id)).toBe('three');
    expect(owner.waiting).toContain(id);
  });
});

test('with the wait taken out of the worker the same claim is not run; with it, it is', async () => {
  await worker.stop();
  worker = await startWorker('state', { plant: CARELESS });
  const fifth = versionOf('turning', 'five');
  const dot = await addUnheard(fifth);
  const careless = await place({ manifest: fifth, dot });
  await answered(careless);
  expect(outcomeOf(careless)).toBe('MODEL_SUPERSEDED');
  await worker.stop();
  worker = await startWorker('state');
  const waits = await place({ manifest: fifth, dot });
  await until(() => owner.waiting.includes(waits) || `it does not wait:\n${worker.log}`);
  process.kill(sync('beijing').pid, 'SIGCONT');
  await answered(waits);
  expect(outcomeOf(waits)).toBe('five');
}, 90_000);

describe('a claim whose model has a newer version under its name', () => {
  test('is run by the version that it names, after a restart of the worker too; where that is gone it says so', async () => {
    const first = versionOf('turning', 'one');
    const claim = { manifest: first, dot: firstDot };
    const dot = await add(versionOf('turning', 'newest'));
    await until(async () => (await dotOf('shanghai', 'turning')) === dot || 'the newest version is not in shanghai');
    const before = await place(claim);
    await answered(before);
    await worker.stop();
    worker = await startWorker('state');
    const restarted = await place(claim);
    await answered(restarted);
    expect([before, restarted].map(outcomeOf)).toEqual(['one', 'one']);
    await worker.stop();
    worker = await startWorker('another-state', { more: RECORD_WAIT });
    const gone = await place(claim);
    const newest = await place({ manifest: versionOf('turning', 'newest'), dot });
    await answered(gone, newest);
    expect(owner.result(gone)?.outcome).toMatchObject({
      case: 'error',
      value: { code: 'FAILED_PRECONDITION', reason: 'MODEL_SUPERSEDED', retryable: true },
    });
    expect(outcomeOf(newest)).toBe('newest');
  }, 90_000);
});

describe('a claim whose record does not come', () => {
  // By the worker that the test before has started: it gives up sooner.
  test('fails by name and retryable when the record does not come; without `requires` it would have failed at once', async () => {
    const fourth = versionOf('turning', 'four');
    const dot = await addUnheard(fourth);
    const waits = await place({ manifest: fourth, dot });
    const careless = await place({ manifest: fourth });
    await answered(careless);
    expect(outcomeOf(careless)).toBe('MODEL_UNKNOWN');
    expect(outcomeOf(waits)).toBe('no result');
    await answered(waits);
    expect(owner.result(waits)?.outcome).toMatchObject({
      case: 'error',
      value: { reason: 'STATE_MISSING', retryable: true, message: expect.stringContaining(`model/turning ${dot}`) },
    });
  });
});
