import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { HybridLogicalClock, VersionVector } from '@meridian/causality';
import { subject } from '@meridian/contracts';
import { connectNats, Emitter, type MessageBus, NatsAdmin } from '@meridian/messaging';
import { type CatalogueModel, ensureCatalogue } from '@meridian/models';
import { loadTls } from '@meridian/rpc';
import { attributeNames, createLogger, type FinishedSpan, systemClock } from '@meridian/runtime';
import { formatTopology } from '@meridian/topology';
import { createNoopMeter } from '@opentelemetry/api';
import sharp from 'sharp';
import { goldenModels, misfitOf } from '../support/altered-models.ts';
import { type RegionBrokers, startRegionBrokers, until } from '../support/region-brokers.ts';
import { acknowledgement, ScriptedOwner } from '../support/scripted-owner.ts';
import { ACTOR, ScriptedSync } from '../support/scripted-sync.ts';
import { type ClaimOptions, claimOf } from '../support/task-claims.ts';
import { isAlive, WorkerProcess } from '../support/worker-process.ts';

/**
 * Goal: a real worker process, with a real broker (the product's configuration, TLS and permissions), real models and
 * real gRPC on all sides. Only the two schedulers and the sync service are scripted: their side of the wire is what
 * the tests decide. Every task ends in exactly one way, and the broker's message goes only when it should.
 */
const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });
const NOBODY = '127.0.0.1:1';
let directory: string;
let brokers: RegionBrokers;
let bus: MessageBus;
let models: CatalogueModel[];
/** Its manifest names an input that its graph does not have. */
let misfit: CatalogueModel;
/** CenterNet with a golden picture that it answers, and with its labels shifted by one so that it does not. */
let golden: CatalogueModel;
let wrong: CatalogueModel;
let sync: ScriptedSync;
let owner: ScriptedOwner;
let remote: ScriptedOwner;
let worker: WorkerProcess;
let photo: Buffer;
let tasks = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'meridian-worker-'));
  brokers = await startRegionBrokers({ regions: ['beijing'], directory });
  const admin = await NatsAdmin.connect(dial('initializer'));
  await admin.createStreams('beijing');
  await admin.close();
  const emitter = new Emitter({
    ...{ region: 'beijing', service: 'scheduler', replica: '1', incarnation: 'i1', clock: systemClock },
    hlc: new HybridLogicalClock(systemClock.nowMs, { driftMaxMs: 1000 }),
    knowledge: () => VersionVector.EMPTY,
  });
  bus = await connectNats({ ...dial('scheduler'), emitter, meter: createNoopMeter() });
  const catalogue = await ensureCatalogue({ directory: join(directory, 'models') });
  models = catalogue.filter(({ name }) => name === 'centernet-320' || name === 'blazeface');
  misfit = misfitOf(models.find(({ name }) => name === 'blazeface'));
  [golden, wrong] = await goldenModels(
    models.find(({ name }) => name === 'centernet-320'),
    directory,
  );
  models.push(golden);
  photo = await sharp({ create: { width: 640, height: 400, channels: 3, background: '#864' } })
    .jpeg()
    .toBuffer();
}, 60_000);

async function startAll(): Promise<void> {
  const { scheduler, sync: syncFiles } = brokers.of('beijing').credentials.certificates;
  owner = new ScriptedOwner(loadTls(scheduler));
  remote = new ScriptedOwner(loadTls(scheduler));
  sync = new ScriptedSync(loadTls(syncFiles), [...models, misfit, wrong]);
  owner.pictures.set('*', photo);
  remote.pictures.set('*', photo);
  await Promise.all([owner.start(), remote.start(), sync.start()]);
  worker = await startWorker();
}

async function stopAll(): Promise<void> {
  await worker.stop();
  await Promise.all([owner.stop(), remote.stop(), sync.stop()]);
}

afterAll(async () => {
  await bus?.close();
  await brokers?.stop();
  await rm(directory, { recursive: true, force: true });
});

function dial(role: 'initializer' | 'scheduler') {
  const { clientUrl, credentials } = brokers.of('beijing');
  return {
    ...{ url: clientUrl, region: 'beijing', role, name: role, logger, clock: systemClock },
    ...{ seedFile: credentials.seedFiles[role], tls: loadTls(credentials.certificates[role]) },
  };
}

/** Resolves when it has announced itself and can run both models. */
async function startWorker(): Promise<WorkerProcess> {
  const { clientUrl, credentials } = brokers.of('beijing');
  const topologyFile = join(directory, 'regions.yaml');
  const region = (name: string, grpcAddress: string) => ({
    ...{ name, latitude: 0, longitude: 0, zone: 'cn', capacity: 1, leafAddress: NOBODY, grpcAddress },
  });
  await writeFile(
    topologyFile,
    formatTopology({
      regions: [region('beijing', owner.address), region('shanghai', remote.address)],
      links: [{ between: ['beijing', 'shanghai'], roundTripMs: 50, bandwidthMbps: 1000 }],
    }),
  );
  const before = owner.attachments.length;
  sync.ready.clear();
  const started = new WorkerProcess({
    MERIDIAN_REGION: 'beijing',
    MERIDIAN_REPLICA: 'worker-1',
    MERIDIAN_TOPOLOGY_FILE: topologyFile,
    MERIDIAN_NATS_URL: clientUrl,
    MERIDIAN_NATS_SEED_FILE: credentials.seedFiles.worker,
    MERIDIAN_TLS_DIRECTORY: credentials.certificates.worker,
    MERIDIAN_STATE_DIRECTORY: join(directory, 'state'),
    MERIDIAN_SYNC_ADDRESS: sync.address,
    MERIDIAN_OWNER_UNREACHABLE_MS: '1s',
    MERIDIAN_RECORD_WAIT_MS: '2s',
  });
  await started.ready;
  await until(() => owner.attachments.length > before && sync.ready.size === models.length, 30_000);
  return started;
}

/** Places one task, as a scheduler does. @returns its id. */
async function place(options: ClaimOptions & { readonly picture?: Uint8Array } = {}): Promise<string> {
  tasks += 1;
  const taskId = `job-1.${tasks}`;
  if (options.picture !== undefined) owner.pictures.set(taskId, options.picture);
  const model = models.find(({ name }) => name === (options.model ?? 'blazeface'));
  const { target, data } = claimOf(taskId, photo.length, model, options);
  await bus.publishDurable(target, { type: 'meridian.task.claim.v1', data }, { messageId: `${taskId}#${data.fence}` });
  return taskId;
}

const queued = async () => (await bus.streamState('TASKS')).messages;
const emptied = () => until(async () => (await queued()) === 0 || `messages are left in the queue\n${worker.log}`);
const answered = (...ids: string[]) =>
  until(() => ids.every((id) => owner.result(id) !== undefined) || `no result\n${worker.log}`);

describe('a worker that stays', () => {
  beforeAll(startAll, 60_000);
  afterEach(() => owner.forget());
  afterAll(stopAll);

  describe('a task', () => {
    test('is announced, run, reported and acknowledged; its spans reach the region', async () => {
      const spans: FinishedSpan[] = [];
      const subscription = bus.subscribe(
        subject('spans', { origin: 'beijing' }),
        'meridian.trace.spans.v1',
        (message) => spans.push(...(message.data.spans as unknown as FinishedSpan[])),
      );
      // What the scheduler of its own region says of the region's load rides on the results.
      const load = { outstanding: 5, capacity: 2, price: 7, slots: 3, settled: 1, measuredUnixMs: 99n };
      owner.attachments[0]?.send({ message: { case: 'load', value: load } });
      const id = await place({ model: 'centernet-320' });
      await answered(id);
      const result = owner.result(id);
      expect(owner.attachments[0]?.hello).toMatchObject({ worker: 'worker-1', region: 'beijing' });
      expect(result?.outcome).toMatchObject({ case: 'recognition', value: { width: 640, height: 400 } });
      expect(result?.inferenceMs).toBeGreaterThan(0);
      expect(result?.decodeMs).toBeGreaterThan(0);
      expect(result?.heldMs).toBeGreaterThanOrEqual((result?.inferenceMs ?? 0) - 1);
      expect(result?.load).toMatchObject(load);
      expect(result?.load?.ageMs).toBeGreaterThanOrEqual(0);
      expect(result?.cause).toMatch(/^beijing\.scheduler\./);
      await emptied();
      await until(() => spans.some(({ name }) => name === 'worker.task'));
      subscription.unsubscribe();
      const span = spans.find(({ name }) => name === 'worker.task');
      expect(span?.attributes).toMatchObject({ 'meridian.task.id': id, 'meridian.worker': 'worker-1' });
      const { fetchMs, waitMs, decodeMs, inferenceMs } = attributeNames;
      const partMs = [fetchMs, waitMs, decodeMs, inferenceMs].map((name) => Number(span?.attributes[name]));
      expect(partMs.every((ms) => ms >= 0)).toBe(true);
      expect(partMs.reduce((sum, ms) => sum + ms, 0)).toBeLessThanOrEqual((span?.durationMs ?? 0) + 1);
    });

    test('with a stale fence is terminated and not run', async () => {
      owner.onAnnounced = (taskId, fence) => ({
        message: { case: 'refused', value: { taskId, fence, reason: 'stale-fence' } },
      });
      const id = await place();
      await emptied();
      expect(owner.announced).toEqual([id]);
      expect(owner.results).toEqual([]);
    });

    test('that is cancelled while it waits for its picture is terminated', async () => {
      owner.onAnnounced = (taskId) => ({ message: { case: 'cancel', value: { taskId } } });
      await place();
      await emptied();
      expect(owner.results).toEqual([]);
    });

    test('of an owner that nobody knows is terminated', async () => {
      await place({ owner: 'atlantis' });
      await emptied();
      expect(owner.announced).toEqual([]);
    });

    test('ends in its own error, whatever is wrong with it, and the next one is fine', async () => {
      const bad = {
        PICTURE_EMPTY: await place({ picture: new Uint8Array(0) }),
        PICTURE_FORMAT: await place({ picture: Buffer.from('GIF89a and so on') }),
        PICTURE_TRUNCATED: await place({ picture: photo.subarray(0, photo.length / 2) }),
        TASK_DEADLINE_EXCEEDED: await place({ deadlineMs: Date.now() - 1 }),
        CLAIM_INVALID: await place({ requires: ['no dot'] }),
      };
      const good = await place();
      await answered(good, ...Object.values(bad));
      for (const [reason, id] of Object.entries(bad))
        expect(owner.result(id)?.outcome).toMatchObject({ case: 'error', value: { reason, retryable: false } });
      expect(owner.result(good)?.outcome.case).toBe('recognition');
      await emptied();
    });

    test('that needs state which never comes fails by name, retryable, and holds up nobody', async () => {
      const waiting = await place({ requires: [`${ACTOR}=99`] });
      const good = await place();
      await answered(good);
      expect(owner.result(waiting)).toBeUndefined();
      await answered(waiting);
      expect(owner.result(waiting)?.outcome).toMatchObject({
        value: { reason: 'STATE_MISSING', retryable: true, message: expect.stringContaining(`${ACTOR}=99`) },
      });
      await emptied();
    });
  });

  describe('the order of tasks', () => {
    test('high ones overtake low ones that were there first, and the low ones go on', async () => {
      const low = await Promise.all(Array.from({ length: 60 }, () => place({ priority: 'low' })));
      const high = await Promise.all(Array.from({ length: 12 }, () => place({ priority: 'high' })));
      const before = owner.results.length;
      await answered(...high);
      const window = owner.results.slice(
        before,
        owner.results.findLastIndex(({ taskId }) => high.includes(taskId)) + 1,
      );
      expect(window.length).toBeLessThanOrEqual(36);
      await answered(...low);
      await emptied();
    });
  });

  describe('a model', () => {
    test('whose manifest does not fit holds up no other, and is reported with what the graph has', async () => {
      await until(() => sync.problems.has(misfit.digest) || `no problem\n${worker.log}`);
      expect(sync.problems.get(misfit.digest)).toMatch(/^the manifest names input pixels, the model has \w+/);
      expect(sync.ready.has(misfit.digest)).toBe(false);
    });

    test('that answers a golden picture is ready; one that answers it wrongly never is, and runs no task', async () => {
      expect(sync.ready.get(golden.digest)).toBe(true);
      await until(() => sync.problems.has(wrong.digest) || `no problem\n${worker.log}`);
      expect(sync.problems.get(wrong.digest)).toMatch(
        /^golden picture astronaut\.png: expected person from 0\.3 on, found/,
      );
      expect(sync.ready.has(wrong.digest)).toBe(false);
      const id = await place({ digest: wrong.digest });
      await until(() => owner.returned.includes(id) || owner.result(id) !== undefined || `nothing\n${worker.log}`);
      expect(owner.result(id)?.outcome.case).not.toBe('recognition');
      await emptied();
    });
  });
});

describe('a worker of its own', () => {
  beforeEach(startAll, 60_000);
  afterEach(stopAll);

  describe('an owner that goes away', () => {
    test('gets the result again when it is back, and the picture ran once', async () => {
      owner.acknowledges = false;
      const id = await place();
      await answered(id);
      await owner.stop();
      expect(await queued()).toBe(1);
      owner.acknowledges = true;
      await owner.start();
      await until(() => owner.results.filter(({ taskId }) => taskId === id).length === 2);
      await emptied();
      expect(owner.announced).toEqual([id]);
    });

    test('is told again of claims that it had not answered', async () => {
      owner.onAnnounced = () => 'silence';
      const id = await place();
      await until(() => owner.announced.length === 1);
      owner.onAnnounced = () => undefined;
      await owner.stop();
      await owner.start();
      await answered(id);
      await emptied();
      expect(owner.announced).toEqual([id, id]);
    });

    test('costs the tasks of others nothing; its claims go back and come again', async () => {
      await remote.stop();
      const lost = await Promise.all(Array.from({ length: 40 }, () => place({ owner: 'shanghai' })));
      const own = await Promise.all(Array.from({ length: 20 }, () => place()));
      await answered(...own);
      await until(async () => (await queued()) === 40);
      await remote.start();
      await until(() => lost.every((id) => remote.result(id) !== undefined), 30_000);
      await emptied();
    });
  });

  describe('the inference process', () => {
    test.each(['SIGKILL', 'SIGSTOP'] as const)('%s: no task is lost, heartbeats go on', async (signal) => {
      const ids = await Promise.all(Array.from({ length: 20 }, () => place({ model: 'centernet-320' })));
      await until(() => owner.results.length >= 4);
      const child = await worker.inferenceProcess();
      process.kill(child, signal);
      await answered(...ids);
      const failed = ids.filter((id) => owner.result(id)?.outcome.case === 'error');
      // With several pictures in the process none is blamed.
      expect(failed.length).toBeLessThanOrEqual(1);
      const retryable = expect.objectContaining({ retryable: true });
      expect(failed.map((id) => owner.result(id)?.outcome.value)).toEqual(failed.map(() => retryable));
      const heard = owner.attachments[0]?.heardAtMs ?? [];
      const gaps = heard.slice(1).map((at, i) => at - (heard[i] ?? at));
      expect(Math.max(...gaps)).toBeLessThan(1_000);
      expect(await worker.inferenceProcess()).not.toBe(child);
      await emptied();
    });
  });

  describe('SIGKILL of the worker', () => {
    test('takes its inference process with it, also one that is in the middle of a picture', async () => {
      const id = await place({ model: 'centernet-320' });
      await until(() => owner.announced.includes(id));
      const child = await worker.inferenceProcess();
      worker.signal('SIGKILL');
      await worker.exited;
      await until(() => !isAlive(child));
      worker = await startWorker();
      await answered(id);
      await emptied();
    });
  });

  describe('SIGTERM', () => {
    test('waits for the acknowledgement of a result', async () => {
      owner.acknowledges = false;
      const id = await place();
      await answered(id);
      worker.signal('SIGTERM');
      const result = owner.result(id);
      await until(() => [...sync.ready.values()].every((ready) => !ready));
      if (result !== undefined) owner.attachments[0]?.send(acknowledgement(result));
      expect(await worker.exited).toBe(0);
      await emptied();
    });

    // The last one: it leaves tasks in the queue.
    test('finishes what runs, gives back the rest, takes back its readiness, and leaves nothing behind', async () => {
      owner.onAnnounced = (taskId) => (owner.announced.length > 6 && taskId !== '' ? 'silence' : undefined);
      const ids = await Promise.all(Array.from({ length: 12 }, () => place({ model: 'centernet-320' })));
      await until(() => owner.announced.length >= 8);
      const child = await worker.inferenceProcess();
      worker.signal('SIGTERM');
      expect(await worker.exited).toBe(0);
      expect([...sync.ready.values()]).toEqual(models.map(() => false));
      for (const id of ids) {
        const finished = owner.result(id) !== undefined;
        const returned = owner.returned.includes(id);
        const untouched = !owner.announced.includes(id);
        expect([id, Number(finished) + Number(returned) + Number(untouched)]).toEqual([id, 1]);
      }
      expect(await queued()).toBe(ids.length - owner.results.length);
      expect(isAlive(child)).toBe(false);
    });
  });
});
