import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { Failure } from '@meridian/failure';
import { type RegionBrokers, startRegionBrokers, until } from '../support/region-brokers.ts';
import { createStreams, SyncProcess } from '../support/sync-process.ts';

/**
 * Goal: what docs/state.md shows works as it is run: sync services as processes, real brokers with TLS, keys and
 * permissions, links that are cut, the command line as a process.
 */
// Every command is a process of its own, and a busy machine starts one in seconds.
jest.setTimeout(120_000);

const repository = resolve(import.meta.dirname, '..', '..');
const REGIONS = ['beijing', 'shanghai'] as const;
type Region = (typeof REGIONS)[number];
const HEAL_MS = 20_000;
const key = 'config/app/greeting';

let directory: string;
let brokers: RegionBrokers;
const syncs = new Map<Region, SyncProcess>();
const children: ChildProcess[] = [];

const sync = (region: Region) => syncs.get(region) as SyncProcess;
const failureOf = (promise: Promise<unknown>) => promise.then(() => undefined, Failure.from);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'meridian-state-api-'));
  brokers = await startRegionBrokers({ directory, regions: REGIONS });
  await Promise.all(REGIONS.map((region) => createStreams(brokers, region)));
  const environment = { MERIDIAN_FETCH_INTERVAL_MS: '2s', MERIDIAN_PEER_WAIT_MS: '1s' };
  for (const region of REGIONS) syncs.set(region, new SyncProcess(brokers, { region, directory, environment }));
  await Promise.all(REGIONS.map((region) => sync(region).start()));
  const doors = REGIONS.map((region) => {
    const { address } = sync(region);
    return [region, { scheduler: address, sync: address, optimizer: address, nats: brokers.of(region).clientUrl }];
  });
  await mkdir(join(directory, 'run'));
  const running = { regions: Object.fromEntries(doors), control: '', certificates: brokers.installation.directory };
  await writeFile(join(directory, 'run', 'running.json'), JSON.stringify(running));
}, 90_000);

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  for (const service of syncs.values()) service.closeChannels();
  await Promise.all([...syncs.values()].map((service) => service.stop()));
  await brokers?.stop();
  await rm(directory, { recursive: true, force: true });
}, 60_000);

function start(...args: string[]): ChildProcess {
  const main = join(repository, 'packages/cli/src/main.ts');
  const child = spawn(process.execPath, [main, '--state', directory, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  return child;
}

async function meridian(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = start(...args);
  let [out, err] = ['', ''];
  child.stdout?.on('data', (chunk: Buffer) => {
    out += chunk;
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    err += chunk;
  });
  const [code] = await once(child, 'close');
  return { code, out, err };
}

const set = (region: Region, value: string) =>
  sync(region)
    .client('operator')
    .put({ key, value: Buffer.from(value) }, { timeoutMs: 10_000 });

async function entryIn(region: Region) {
  const { entry } = await sync(region).client('client').get({ key }, { timeoutMs: 10_000 });
  const values = entry?.versions.map(({ value }) => Buffer.from(value).toString()) ?? [];
  const winner = entry?.winner === undefined ? undefined : entry.versions[entry.winner]?.dot;
  return { values, winner, conflicted: entry?.conflicted, context: entry?.context ?? '' };
}

/** Verbs of the conflict events that each region has published, by the read-only key. */
const announced = () => Promise.all(REGIONS.map(announcedIn));

async function announcedIn(region: Region): Promise<readonly string[]> {
  const { out } = await meridian('events', '--region', region, '--json');
  const events = out
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  return events.map(({ subject, data }) => `${subject.split('.').at(-1)} ${data.key}`);
}

describe('two regions', () => {
  test('a key that is set in one is read in the other, not before it is there', async () => {
    const { code, out } = await meridian('config', 'set', 'app/greeting', 'hello', '--region', 'beijing', '--json');
    expect(code).toBe(0);
    const written = JSON.parse(out);
    expect(written).toMatchObject({ key, region: 'beijing', changed: true });
    const after = ['--after', written.versionVector, '--region', 'shanghai'];
    const [got, listed] = await Promise.all([
      meridian('config', 'get', 'app/greeting', ...after),
      meridian('config', 'list', ...after),
    ]);
    expect(got).toEqual({ code: 0, out: 'hello', err: '' });
    expect(listed.out).toMatch(/config\/app\/greeting +beijing +operator\/\S+ +\S+ \S+ +hello\n$/);
  });

  test('only operators write, only configuration keys; services have doors of their own', async () => {
    const put = { key, value: Buffer.from('v') };
    const denied = { code: 'PERMISSION_DENIED', reason: 'METHOD_NOT_ALLOWED' };
    for (const identity of ['client', 'worker', 'scheduler'] as const)
      expect(await failureOf(sync('beijing').client(identity).put(put))).toMatchObject(denied);
    expect(await failureOf(sync('beijing').client('worker').get({ key }))).toMatchObject(denied);
    expect(
      await failureOf(sync('beijing').client('client').changeMember({ region: 'shanghai', action: 2 })),
    ).toMatchObject(denied);
    expect(
      await failureOf(
        sync('beijing')
          .client('operator')
          .put({ ...put, key: 'model/x' }),
      ),
    ).toMatchObject({
      ...{ code: 'INVALID_ARGUMENT', reason: 'KEY_RESERVED' },
    });
  });

  test('edits on both sides of a cut: the same winner, both values, an event in both; resolved in one, for both', async () => {
    brokers.emulator.cut('beijing', 'shanghai');
    const written = await set('beijing', 'from beijing');
    await set('shanghai', 'from shanghai');
    const { versionVector } = written;
    expect(await failureOf(sync('shanghai').client('client').get({ key, versionVector, waitMs: 100 }))).toMatchObject({
      ...{ code: 'FAILED_PRECONDITION', reason: 'STALE', retryable: true, retryDelayMs: 200 },
    });
    brokers.emulator.heal();
    for (const region of REGIONS) await until(async () => (await entryIn(region)).conflicted === true, HEAL_MS);
    const [beijing, shanghai] = await Promise.all(REGIONS.map(entryIn));
    expect(beijing?.values).toEqual(['from beijing', 'from shanghai']);
    expect(shanghai).toMatchObject({ values: beijing?.values, winner: beijing?.winner });
    expect(await announced()).toEqual(REGIONS.map(() => [`found ${key}`]));

    // Each command is a process of its own: those that change nothing run side by side.
    const [shown, got, listed] = await Promise.all([
      meridian('conflicts', 'show', key, '--region', 'shanghai'),
      meridian('config', 'get', 'app/greeting', '--region', 'beijing'),
      meridian('conflicts', 'list', '--region', 'beijing'),
    ]);
    expect(shown.out).toMatch(
      /\[1\] operator\/\S+ in beijing at [\s\S]*from beijing[\s\S]*\[2\] operator\/\S+ in shanghai/,
    );
    expect(shown.out.match(/readers see this one/g)).toHaveLength(1);
    expect(got.err).toContain('in conflict');
    expect(listed.out).toMatch(/config\/app\/greeting +2 +beijing shanghai/);
    const resolved = await meridian('conflicts', 'resolve', key, '--take', '1', '--region', 'shanghai');
    expect(resolved).toEqual({ code: 0, out: `${key} is resolved: from beijing\n`, err: '' });
    await until(async () => (await entryIn('beijing')).conflicted === false, HEAL_MS);
    for (const region of REGIONS)
      expect(await entryIn(region)).toMatchObject({ values: ['from beijing'], conflicted: false });
    let verbs: (readonly string[])[] = [];
    await until(async () => {
      verbs = await announced();
      return verbs.every(({ length }) => length >= 2);
    }, HEAL_MS);
    expect(verbs).toEqual(REGIONS.map(() => [`found ${key}`, `resolved ${key}`]));
    expect((await meridian('conflicts', 'list', '--region', 'beijing')).out).toBe('no conflicts\n');
  });

  test('the history of a key is in both, and survives a killed service without repetitions', async () => {
    const historyIn = async (region: Region) => {
      const { items } = await sync(region).client('client').history({ key }, { timeoutMs: 10_000 });
      return items.map(
        ({ version, current }) => `${Buffer.from(version?.value ?? []).toString()}${current ? '!' : ''}`,
      );
    };
    for (const region of REGIONS) {
      const seen = await historyIn(region);
      expect(seen[0]).toBe('from beijing!');
      expect(seen.toSorted()).toEqual(['from beijing', 'from beijing!', 'from shanghai', 'hello']);
    }
    const before = await historyIn('beijing');
    await sync('beijing').restart('SIGKILL');
    expect(await historyIn('beijing')).toEqual(before);
    await set('beijing', 'after the restart');
    await until(async () => (await historyIn('beijing')).length === 5, HEAL_MS);
    const { out } = await meridian('config', 'history', 'app/greeting', '--region', 'beijing', '--limit', '2');
    expect(out).toMatch(/current +after the restart\n.*from beijing\n$/);
    expect((await announced()).map(({ length }) => length)).toEqual([2, 2]);
  });

  test('a watch shows what is there, then each change, over a restart of the service', async () => {
    const child = start('config', 'watch', 'w/', '--region', 'beijing', '--json');
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
    const next = async () => {
      const entry = JSON.parse(String((await lines.next()).value));
      return `${entry.key}=${Buffer.from(entry.versions[0].value, 'base64').toString()}`;
    };
    const put = (name: string, value: string) =>
      sync('shanghai')
        .client('operator')
        .put({ key: `config/w/${name}`, value: Buffer.from(value) });
    await put('a', '1');
    expect(await next()).toBe('config/w/a=1');
    await sync('beijing').restart('SIGTERM');
    await put('b', '2');
    expect(await next()).toBe('config/w/b=2');
    const closed = once(child, 'close');
    child.kill('SIGINT');
    expect(await closed).toEqual([130, null]);
  });

  test('values are deleted, files are written as they are, and what is not there is said in one line', async () => {
    const path = join(directory, 'value.bin');
    await writeFile(path, Buffer.from([0, 255, 10, 0]));
    await meridian('config', 'set', 'bin', '--file', path, '--region', 'beijing');
    const { entry } = await sync('beijing').client('client').get({ key: 'config/bin' });
    expect([...(entry?.versions[0]?.value ?? [])]).toEqual([0, 255, 10, 0]);
    expect((await meridian('config', 'delete', 'bin', '--region', 'beijing')).out).toBe(
      'config/bin is deleted in beijing\n',
    );
    const gone = await meridian('config', 'get', 'bin', '--region', 'beijing');
    expect([gone.code, gone.err]).toEqual([
      1,
      expect.stringMatching(/^meridian: config\/bin was deleted by operator\/\S+ in beijing at .*\n$/),
    ]);
    // Once all regions have it the deletion itself is forgotten; the history tells of it.
    const versions = async () => (await sync('beijing').client('client').get({ key: 'config/bin' })).entry?.versions;
    await until(async () => ((await versions()) ?? []).length === 0, HEAL_MS);
    const [still, never, both] = await Promise.all([
      meridian('config', 'get', 'bin', '--region', 'beijing'),
      meridian('config', 'get', 'never', '--region', 'beijing'),
      meridian('config', 'set', 'bin', 'x', '--file', path),
    ]);
    expect(still.err).toBe(gone.err);
    expect([never.code, never.err]).toEqual([1, 'meridian: config/never is not set in beijing\n']);
    expect([both.code, both.err]).toEqual([1, 'meridian: give a value or --file, not both\n']);
  });

  test('status and members are shown; a region is not removed without a yes', async () => {
    expect((await meridian('sync', 'status', '--region', 'beijing')).out).toMatch(
      /^as beijing sees it\nregion [\s\S]*\nbeijing +active [\s\S]*\n\nrounds of beijing with each region\n[\s\S]*\nshanghai +2,000 ms /,
    );
    const child = start('sync', 'status', '--watch', '--region', 'shanghai');
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
    for (let i = 0; i < 2; i++) expect((await lines.next()).value).toMatch(/shanghai active behind/);
    child.kill('SIGINT');
    expect((await meridian('sync', 'members', '--region', 'beijing')).out).toMatch(/\nbeijing +active/);
    const refused = await meridian('sync', 'members', 'remove', 'shanghai', '--region', 'beijing');
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('--yes')]);
  });
});
