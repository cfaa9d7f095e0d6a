import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual, promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { submitJob, watchJob } from '@meridian/cli';
import { RecognitionService, type TaskResult } from '@meridian/contracts/recognition';
import { RegionService } from '@meridian/contracts/region';
import { Failure } from '@meridian/failure';
import { statePaths } from '@meridian/local';
import { createClient } from '@meridian/rpc';
import { systemClock, systemRandom } from '@meridian/runtime';
import { jobPictures } from '../faults/job.ts';
import { type Picture, variations } from '../faults/pictures.ts';
import { type Heard, LinkTap } from '../support/link-tap.ts';
import { type RunningSystem, repository, startLocalSystem } from '../support/local-system.ts';
import { bodiesOf, found, foundBelow, type Needle, ofPicture, ofText } from '../support/needles.ts';
import { until } from '../support/region-brokers.ts';
import { type StoredMessage, storedMessages } from '../support/stored-messages.ts';

/**
 * Goal: what a rule keeps from a region does not get there, in no form, whatever fails.
 *
 * Method: three real regions. Pictures with marks in them and jobs with marked names, under rules that forbid guangzhou,
 * while workers, schedulers and regions are killed and links are cut; beside them the same without a rule. All that passes
 * between regions is read inside TLS, by relays with the keys of both ends; afterwards every file of guangzhou is searched,
 * its logs, and every message of its streams, decrypted with its own key. The same search must find the pictures without a
 * rule in guangzhou, and those with one on the link and in the stores where they may be.
 */
const TEST_MS = 240_000;
const MODEL = 'blazeface';
/** Slow enough that faults meet open tasks. */
const PACE_MS = 150;
const FORBIDDEN = 'guangzhou';
const soon = { timeoutMs: 60_000 };

/** Kept from guangzhou by the tenant's rule, by the call's own, and by none. */
const KEPT = ['tenantmark', 'callmark', 'refusedmark'] as const;
const FREE = 'freemark' as const;
type Mark = (typeof KEPT)[number] | typeof FREE;

/** Ends what still asks when something has failed. */
const over = new AbortController();
let tap: LinkTap;
let running: RunningSystem;
let stateRoot: string;
const pictures = new Map<Mark, readonly Picture[]>();
const needles = new Map<Mark, readonly Needle[]>();
const results = new Map<Mark, TaskResult[]>();
let stored: Map<string, readonly StoredMessage[]>;

beforeAll(async () => {
  stateRoot = await mkdtemp(join(tmpdir(), 'meridian-residency-'));
  tap = new LinkTap(statePaths(stateRoot).certificates);
  running = await startLocalSystem({
    ...{ stateRoot, detour: tap.detour },
    environment: { MERIDIAN_PACE_MS: `${PACE_MS}`, MERIDIAN_LOG_LEVEL: 'debug' },
  });
  const photographs = running.provisioned.samples.map(({ path }) => path);
  for (const [i, [mark, count]] of (
    [
      ['tenantmark', 60],
      ['callmark', 12],
      ['refusedmark', 2],
      ['freemark', 20],
    ] as const
  ).entries()) {
    const marked = (await variations(photographs, count, 100 + i, 240)).map((picture) => markedBy(mark, picture));
    pictures.set(mark, marked);
    needles.set(mark, [...ofText(mark), ...marked.flatMap(({ name, bytes }) => ofPicture(name, bytes))]);
  }
  await work();
  await running.system.stop();
  stored = new Map();
  for (const region of ['beijing', FORBIDDEN]) stored.set(region, await messagesOf(region));
}, TEST_MS);

afterAll(async () => {
  over.abort();
  await running?.stop();
  await tap?.close();
  await rm(stateRoot, { recursive: true, force: true });
}, TEST_MS);

/** A comment in the JPEG's header, twice: nothing is drawn of it. */
function markedBy(mark: Mark, { name, bytes }: Picture): Picture {
  const text = Buffer.from(`${mark} ${name}`);
  const comment = Buffer.concat([Buffer.from([0xff, 0xfe, 0, text.length + 2]), text]);
  return {
    name: `${mark}-${name}`,
    bytes: Buffer.concat([bytes.subarray(0, 2), comment, comment, bytes.subarray(2)]),
    digest: '',
  };
}

async function work(): Promise<void> {
  const { system } = running;
  await agree('acme', `never=region:${FORBIDDEN};prefer=region:shanghai`);
  const byTenant = job('tenantmark', 'beijing', { 'meridian-tenant': 'acme' }, 'acme');
  const byCall = job('callmark', 'shanghai', { 'meridian-residency': `only=region:beijing,region:shanghai` });
  const free = job('freemark', 'beijing', { 'meridian-residency': `prefer=region:${FORBIDDEN}` });
  const done = Promise.all([byTenant, byCall, free, callsUnderRules()]);
  done.catch(() => over.abort());
  await until(() => over.signal.aborted || countOf('tenantmark') >= 3, TEST_MS);
  system.process('shanghai', 'inference-worker').signal('SIGKILL');
  await until(() => over.signal.aborted || countOf('tenantmark') >= 8, TEST_MS);
  // Now the only other region that may have them is away: they must not go to the third.
  system.emulator.cut('beijing', 'shanghai');
  await systemClock.sleep(7_000);
  system.emulator.heal('beijing', 'shanghai');
  system.process('beijing', 'scheduler').signal('SIGKILL');
  await system.region(FORBIDDEN).kill();
  await system.region(FORBIDDEN).start();
  system.emulator.cut('beijing', FORBIDDEN);
  await systemClock.sleep(2_000);
  system.emulator.heal('beijing', FORBIDDEN);
  await system.region('shanghai').kill();
  await systemClock.sleep(6_000);
  await system.region('shanghai').start();
  await done;
  await job('freemark', FORBIDDEN, {});
  await follow();
  await askAround();
}

/** @returns what the command line printed, one JSON value a line */
async function meridian(...command: readonly string[]): Promise<readonly unknown[]> {
  const program = join(repository, 'packages', 'cli', 'src', 'main.ts');
  const given = [program, '--state', stateRoot, '--json', ...command];
  const { stdout } = await promisify(execFile)(process.execPath, given);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line): unknown => JSON.parse(line));
}

/** As an operator does it; then every region has seen it. */
async function agree(name: string, rule: string): Promise<void> {
  await meridian('tenants', 'set', name, '--residency', rule, '--region', 'beijing');
  const expected = { tenant: name, residency: [rule], conflicted: false };
  for (const region of running.system.regions.keys())
    await until(
      async () => isDeepStrictEqual(await meridian('tenants', 'list', '--region', region), [expected]),
      30_000,
    );
}

/** Submits and watches to the end, over whatever happens. */
async function job(mark: Mark, region: string, metadata: Record<string, string>, tenant = ''): Promise<void> {
  const client = createClient(RecognitionService, await running.channel(region));
  const door = {
    submit: (parts: Parameters<typeof client.submitJob>[0]) =>
      client.submitJob(parts, { metadata, signal: over.signal }),
    watch: (jobId: string, cursor: bigint) => client.watchJob({ jobId, cursor, tenant }, { signal: over.signal }),
  };
  const ports = { door, clock: systemClock, random: systemRandom, signal: over.signal };
  const header = { idempotencyKey: `${mark}-${region}`, model: MODEL, tenant };
  const jobId = await submitJob({ ...ports, header, pictures: jobPictures(pictures.get(mark) ?? []) });
  const all = results.get(mark) ?? [];
  results.set(mark, all);
  for await (const update of watchJob({ ...ports, jobId })) if (update.kind === 'result') all.push(update.result);
}

function countOf(mark: Mark): number {
  return results.get(mark)?.length ?? 0;
}

/** As a client does it: over lost connections. */
async function persisted<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!Failure.from(error).retryable || over.signal.aborted) throw error;
      await systemClock.sleep(300);
    }
  }
}

/** Unary calls of both kinds where they may be, and those that guangzhou must refuse. */
async function callsUnderRules(): Promise<void> {
  const [ofTenant, ofCall, refused] = (['tenantmark', 'callmark', 'refusedmark'] as const).map(
    (mark) => pictures.get(mark) ?? [],
  );
  const at = async (region: string) => createClient(RecognitionService, await running.channel(region));
  const never = `never=region:${FORBIDDEN}`;
  const shanghai = await at('shanghai');
  const beijing = await at('beijing');
  for (const { bytes } of ofTenant?.slice(0, 3) ?? [])
    await persisted(() =>
      beijing.recognize({ picture: bytes, model: MODEL }, { ...soon, metadata: { 'meridian-tenant': 'acme' } }),
    );
  for (const { bytes } of ofCall?.slice(0, 3) ?? [])
    await persisted(() =>
      shanghai.recognize({ picture: bytes, model: MODEL }, { ...soon, metadata: { 'meridian-residency': never } }),
    );
  const forbidden = await at(FORBIDDEN);
  for (const metadata of [{ 'meridian-residency': never }, { 'meridian-tenant': 'acme' }])
    for (const { bytes, name } of refused ?? []) {
      const request = { picture: bytes, model: MODEL, idempotencyKey: name };
      const call = persisted(() => forbidden.recognize(request, { ...soon, metadata }));
      const failure = await call.then(() => undefined, Failure.from);
      if (failure?.reason !== 'RESIDENCY_REGION_NOT_ALLOWED') throw new Error(`guangzhou said ${failure?.reason}`);
    }
}

/** Told to follow, the command line goes from guangzhou to the preferred region that the refusal names. */
async function follow(): Promise<void> {
  const [picture] = pictures.get('refusedmark') ?? [];
  const file = join(stateRoot, 'refused.jpg');
  await writeFile(file, picture?.bytes ?? '');
  const asked = ['recognize', file, '--region', FORBIDDEN, '--tenant', 'acme', '--model', MODEL];
  const refused = await meridian(...asked).then(() => '', String);
  expect(refused).toContain('RESIDENCY_REGION_NOT_ALLOWED');
  expect(await meridian(...asked, '--follow')).toMatchObject([{ result: { entryRegion: 'shanghai' } }]);
}

/** People in guangzhou ask for what they hear of. */
async function askAround(): Promise<void> {
  const regions = createClient(RegionService, await running.channel(FORBIDDEN));
  for (const mark of [...KEPT, FREE] satisfies Mark[])
    for (const { taskId } of (results.get(mark) ?? []).slice(0, 5)) {
      await persisted(() => regions.getTrace({ key: { case: 'taskId', value: taskId } }, soon));
      await regions.explainTask({ taskId }, soon).catch(() => undefined);
    }
}

async function messagesOf(region: string): Promise<readonly StoredMessage[]> {
  const { system, provisioned } = running;
  const jetstreamKey = system.installation.regions[region]?.jetstreamKey ?? '';
  const storeDirectory = system.region(region).settings.plan.paths.brokerStore;
  return storedMessages({
    natsServer: provisioned.natsServer,
    region,
    storeDirectory,
    jetstreamKey,
    directory: stateRoot,
  });
}

/** Everything that was heard on the links of these two regions, and in HTTP/2 the bodies, too. */
function heardBetween(a: string, b: string): Buffer[] {
  const between = ({ way }: Heard) => [way.viewer, way.target].toSorted().join() === [a, b].toSorted().join();
  return tap.heard.filter(between).flatMap(({ way, chunks }) => {
    const all = Buffer.concat(chunks);
    return way.door === 'grpc' ? [all, ...bodiesOf(all)] : [all];
  });
}

const needlesOf = (marks: readonly Mark[]) => marks.flatMap((mark) => needles.get(mark) ?? []);
const foundIn = (marks: readonly Mark[], hays: readonly Buffer[]) => [
  ...new Set(hays.flatMap((hay) => found(needlesOf(marks), hay))),
];
const foundStored = (marks: readonly Mark[], region: string) =>
  (stored.get(region) ?? []).flatMap(({ subject, bytes }) =>
    [...found(needlesOf(marks), bytes), ...found(needlesOf(marks), Buffer.from(subject))].map(
      (name) => `${name} in ${subject}`,
    ),
  );
const folderOf = (region: string) => running.system.region(region).settings.plan.paths.root;

/** Logs of a region, and what the whole run wrote that names no region. */
async function foundInLogs(marks: readonly Mark[], region: string): Promise<string[]> {
  const { logs } = running.system.paths;
  const files = (await readdir(logs)).filter((name) => name.startsWith(`${region}-`));
  expect(files.length).toBeGreaterThan(3);
  const hits = files.map(async (file) => found(needlesOf(marks), await readFile(join(logs, file))));
  return (await Promise.all(hits)).flat();
}

describe('a rule that forbids guangzhou', () => {
  test('loses nothing: every picture of every job has one recognition, none of them from there', () => {
    for (const mark of ['tenantmark', 'callmark', 'freemark'] as const) {
      const all = results.get(mark) ?? [];
      // Those without a rule were in a job of guangzhou, too.
      expect([mark, all.length]).toEqual([mark, (pictures.get(mark)?.length ?? 0) * (mark === FREE ? 2 : 1)]);
      expect(all.filter(({ outcome }) => outcome.case !== 'recognition')).toEqual([]);
    }
    const ran = (mark: Mark) => new Set((results.get(mark) ?? []).map(({ region }) => region));
    expect(ran('tenantmark')).toEqual(new Set(['beijing', 'shanghai']));
    expect(ran('callmark').has(FORBIDDEN)).toBe(false);
    expect(ran('freemark').has(FORBIDDEN)).toBe(true);
    expect((results.get('tenantmark') ?? []).filter(({ attempts }) => attempts > 1).length).toBeGreaterThan(0);
  });

  test('keeps its pictures, their names and digests off every link to guangzhou', () => {
    for (const peer of ['beijing', 'shanghai'])
      expect([peer, foundIn(KEPT, heardBetween(peer, FORBIDDEN))]).toEqual([peer, []]);
  });

  test('keeps them out of every file, log and stored message of guangzhou', async () => {
    const { files, hits } = await foundBelow(needlesOf(KEPT), folderOf(FORBIDDEN));
    expect(files).toBeGreaterThan(10);
    expect(hits).toEqual([]);
    expect(await foundInLogs(KEPT, FORBIDDEN)).toEqual([]);
    expect(stored.get(FORBIDDEN)?.length).toBeGreaterThan(0);
    expect(foundStored(KEPT, FORBIDDEN)).toEqual([]);
  });
});

describe('the same search', () => {
  test('finds what has no rule on the links to guangzhou: pictures over gRPC, digests in claims', () => {
    const there = foundIn([FREE], heardBetween('beijing', FORBIDDEN));
    expect(there).toContain(FREE);
    expect(
      there.filter((name) => /^digest of .*jpg$/.test(name) || /^digest of [^ ]*$/.test(name)).length,
    ).toBeGreaterThan(3);
    expect(there.filter((name) => name.startsWith('middle of')).length).toBeGreaterThan(3);
  });

  test('finds what was accepted without a rule in the files and streams of guangzhou', async () => {
    const { hits } = await foundBelow(needlesOf([FREE]), folderOf(FORBIDDEN));
    expect(hits.some((hit) => hit.startsWith('freemark in '))).toBe(true);
    const messages = foundStored([FREE], FORBIDDEN);
    expect(messages.some((hit) => hit.startsWith('freemark in meridian.guangzhou.job.'))).toBe(true);
    expect(messages.filter((hit) => hit.startsWith('digest of')).length).toBeGreaterThan(3);
  });

  test('finds what has a rule where it may be: on the link to shanghai, in the spool and the streams of beijing', async () => {
    const link = foundIn(['tenantmark'], heardBetween('beijing', 'shanghai'));
    expect(link).toContain('tenantmark');
    expect(link.filter((name) => name.startsWith('digest of')).length).toBeGreaterThan(3);
    expect(link.filter((name) => name.startsWith('middle of')).length).toBeGreaterThan(3);
    const { hits } = await foundBelow(needlesOf(['tenantmark']), folderOf('beijing'));
    expect(hits.some((hit) => hit.startsWith('tenantmark in '))).toBe(true);
    expect(hits.filter((hit) => hit.includes(' in hex in ')).length).toBeGreaterThan(3);
    const messages = foundStored(['tenantmark'], 'beijing');
    expect(messages.some((hit) => hit.startsWith('tenantmark in meridian.beijing.job.'))).toBe(true);
    expect(messages.filter((hit) => hit.startsWith('digest of')).length).toBeGreaterThan(3);
  });
});
