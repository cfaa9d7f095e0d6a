import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { subject } from '@meridian/contracts';
import { freePort } from '@meridian/local';
import { connectRaw } from '../support/raw-nats.ts';
import { type RegionBrokers, startRegionBrokers, until } from '../support/region-brokers.ts';
import { createStreams, SyncProcess } from '../support/sync-process.ts';

/**
 * Goal: a record of the state log that cannot be read is reported, and costs what it held, nothing else: its key is written
 * again. Method: garbage on subjects of stream STATE of a real broker, below a real sync service.
 */
const REGIONS = ['beijing', 'shanghai'] as const;
type Region = (typeof REGIONS)[number];
const DAMAGED = 'some records of the state log cannot be read';

let directory: string;
let brokers: RegionBrokers;
let metricsPort = 0;
const syncs = new Map<Region, SyncProcess>();
const sync = (region: Region) => syncs.get(region) as SyncProcess;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'meridian-damage-'));
  brokers = await startRegionBrokers({ directory, regions: REGIONS, links: false });
  metricsPort = await freePort();
  for (const region of REGIONS) {
    await createStreams(brokers, region);
    const quick = { MERIDIAN_FETCH_INTERVAL_MS: '1s', MERIDIAN_PEER_WAIT_MS: '1s' };
    const environment = {
      ...quick,
      ...(region === 'beijing' && { MERIDIAN_METRICS_LISTEN: `127.0.0.1:${metricsPort}` }),
    };
    syncs.set(region, new SyncProcess(brokers, { region, directory, environment }));
  }
  await Promise.all(REGIONS.map((region) => sync(region).start()));
}, 60_000);

afterAll(async () => {
  for (const service of syncs.values()) service.closeChannels();
  await Promise.all([...syncs.values()].map((service) => service.stop()));
  await brokers?.stop();
  await rm(directory, { recursive: true, force: true });
}, 60_000);

const put = (region: Region, name: string, value: string) =>
  sync(region)
    .client('operator')
    .put({ key: `config/${name}`, value: Buffer.from(value) }, { timeoutMs: 5_000 });

async function valuesOf(region: Region, name: string): Promise<readonly string[]> {
  const { entry } = await sync(region)
    .client('client')
    .get({ key: `config/${name}` }, { timeoutMs: 5_000 });
  return entry?.versions.map(({ value }) => Buffer.from(value).toString()) ?? [];
}

const untilHas = (region: Region, name: string, value: string) =>
  until(async () => (await valuesOf(region, name)).join() === value || `${region} has ${await valuesOf(region, name)}`);

/** On the keys' subjects of beijing's log: what is there is replaced by it. */
async function damage(...keys: readonly string[]): Promise<void> {
  const { connection } = await connectRaw(brokers.of('beijing'), 'sync');
  for (const key of keys) connection.publish(subject('state', { origin: 'beijing', key }), Buffer.from([0xff, 0xff]));
  await connection.flush();
  await connection.close();
}

async function damagesCounted(): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  const line = text.split('\n').find((one) => one.startsWith('meridian_sync_alarms') && one.includes('LOG_DAMAGED'));
  return Number(/} (\d+)/.exec(line ?? '')?.[1] ?? 0);
}

test('after a restart it is reported, peers’ values come back, its keys are written, and the next start is clean', async () => {
  await put('beijing', 'shared', 'kept by shanghai');
  await untilHas('shanghai', 'shared', 'kept by shanghai');
  await damage('config/shared', 'config/new', '~meta');
  await sync('beijing').restart('SIGKILL');
  const { pid } = sync('beijing');
  expect([sync('beijing').log.split(DAMAGED).length - 1, await damagesCounted()]).toEqual([1, 1]);
  await put('beijing', 'new', 'written');
  await untilHas('beijing', 'shared', 'kept by shanghai');
  await put('beijing', 'shared', 'changed');
  await untilHas('shanghai', 'shared', 'changed');
  await untilHas('shanghai', 'new', 'written');
  expect(sync('beijing').pid).toBe(pid);
  await sync('beijing').restart('SIGKILL');
  expect([sync('beijing').log.split(DAMAGED).length - 1, await damagesCounted()]).toEqual([1, 0]);
  expect([await valuesOf('beijing', 'shared'), await valuesOf('beijing', 'new')]).toEqual([['changed'], ['written']]);
});

test('that appears below a running service ends it once: what it held is not known any more', async () => {
  await put('beijing', 'again', 'one');
  await untilHas('shanghai', 'again', 'one');
  await damage('config/again');
  const ended = sync('beijing').ended;
  await expect(put('beijing', 'again', 'two')).rejects.toThrow();
  await ended;
  await sync('beijing').start();
  await put('beijing', 'again', 'three');
  await until(async () => (await valuesOf('shanghai', 'again')).includes('three') || 'shanghai has not heard of it');
  await put('beijing', 'again', 'four');
  await untilHas('shanghai', 'again', 'four');
});
