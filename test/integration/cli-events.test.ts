import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { HybridLogicalClock, VersionVector } from '@meridian/causality';
import { subject } from '@meridian/contracts';
import { connectNats, Emitter, type MessageBus, NatsAdmin } from '@meridian/messaging';
import { loadTls } from '@meridian/rpc';
import { createLogger, systemClock } from '@meridian/runtime';
import { startTelemetry } from '@meridian/runtime/service';
import { type RegionBrokers, startRegionBrokers } from '../support/region-brokers.ts';

/**
 * Goal: `events` replays what a region stored and goes on with what comes, with the read-only key and the product's
 * permissions. Method: a real broker, a scheduler's connection that publishes, the command line as a process.
 */
const repository = resolve(import.meta.dirname, '..', '..');
const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });
const { meter } = startTelemetry({ service: 'test', region: 'beijing', replica: '1', sampleRatio: 0 });
let state: string;
let brokers: RegionBrokers;
let bus: MessageBus;

beforeAll(async () => {
  state = await mkdtemp(join(tmpdir(), 'meridian-events-'));
  brokers = await startRegionBrokers({ regions: ['beijing'], directory: state });
  const { clientUrl: url, credentials } = brokers.of('beijing');
  const dial = { url, logger, clock: systemClock, name: 'test' };
  const admin = await NatsAdmin.connect({
    ...dial,
    region: 'beijing',
    role: 'initializer',
    seedFile: credentials.seedFiles.initializer,
    tls: loadTls(credentials.certificates.initializer),
  });
  await admin.createStreams('beijing');
  await admin.close();
  const identity = { region: 'beijing', service: 'scheduler', replica: '1', incarnation: 'x', clock: systemClock };
  const hlc = new HybridLogicalClock(systemClock.nowMs, { driftMaxMs: 60_000 });
  bus = await connectNats({
    ...dial,
    role: 'scheduler',
    seedFile: credentials.seedFiles.scheduler,
    tls: loadTls(credentials.certificates.scheduler),
    emitter: new Emitter({ ...identity, hlc, knowledge: () => VersionVector.EMPTY }),
    meter,
  });
  await mkdir(join(state, 'run'));
  const regions = { beijing: { scheduler: '127.0.0.1:1', sync: '127.0.0.1:1', optimizer: '127.0.0.1:1', nats: url } };
  const running = { regions, control: '', certificates: brokers.installation.directory };
  await writeFile(join(state, 'run', 'running.json'), JSON.stringify(running));
}, 60_000);

afterAll(async () => {
  await bus?.close();
  await brokers?.stop();
  await rm(state, { recursive: true });
});

const publish = (jobId: string, tenant = 'public') =>
  bus.publishDurable(subject('event', { origin: 'beijing', tenant, entity: 'job', verb: 'placed' }), {
    type: 'meridian.event.tasks-placed.v1',
    tenant,
    data: { jobId, placements: [{ region: 'shanghai' }] },
  });

const children: ChildProcess[] = [];
function events(...args: string[]) {
  const main = join(repository, 'packages/cli/src/main.ts');
  const child = spawn(process.execPath, [main, '--state', state, 'events', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return { child, next: async () => (await lines.next()).value as string | undefined, closed: once(child, 'close') };
}
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

test('stored events are shown and it ends; a tenant sees its own', async () => {
  // More than one batch of a pull.
  for (let i = 0; i < 300; i++) await publish(`a${i}`);
  await publish('b0', 'acme');
  const all = events();
  for (let i = 0; i < 300; i++) expect(await all.next()).toContain(`job placed      a${i}: 1 → shanghai`);
  expect(await all.next()).toMatch(/acme .* b0:/);
  expect(await all.next()).toBeUndefined();
  expect(await all.closed).toEqual([0, null]);
  const own = events('--tenant', 'acme', '--json');
  expect(JSON.parse((await own.next()) ?? '')).toMatchObject({
    region: 'beijing',
    tenant: 'acme',
    type: 'meridian.event.tasks-placed.v1',
    versionVector: '',
    data: { jobId: 'b0' },
  });
  expect(await own.next()).toBeUndefined();
});

test('follow goes on after the replay without gap or repetition, over the broker’s death, until Ctrl-C', async () => {
  await publish('stored');
  const feed = events('--follow', '--since', '1h', '--json');
  let jobId = '';
  const next = async () => {
    jobId = JSON.parse((await feed.next()) ?? '').data.jobId;
    return jobId;
  };
  while ((await next()) !== 'stored');
  await publish('live');
  expect(await next()).toBe('live');
  await brokers.of('beijing').kill();
  await brokers.of('beijing').launch();
  // The first that arrives tells that the subscription is back; until then events pass it by, as documented.
  const arrived = next();
  let sent = 0;
  while (jobId === 'live') {
    await publish(`after-${sent++}`).catch(() => undefined);
    await Promise.race([arrived, systemClock.sleep(200)]);
  }
  expect(jobId).toMatch(/^after-/);
  feed.child.kill('SIGINT');
  expect(await feed.closed).toEqual([0, null]);
}, 60_000);
