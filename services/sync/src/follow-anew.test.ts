import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { currentValue, Replica, type ReplicaOptions } from '@meridian/replica';
import { createLogger, systemClock, systemRandom } from '@meridian/runtime';
import { openDoor } from './door.fixture.ts';
import { Regions, type RunningRegion, until } from './region.fixture.ts';

/**
 * Goal: what a service of a region has of the shared state is what its region has, also when the region itself begins anew.
 * Method: a service's replica on the handlers of whole sync services, brokers in memory.
 */
const QUICK = { MERIDIAN_HEAD_INTERVAL_MS: '100' };
let regions: Regions;
let beijing: RunningRegion;
let guangzhou: RunningRegion;
/** Of guangzhou. */
let replica: Replica;
/** Messages that told the replica to begin anew. */
let wholes = 0;

beforeEach(async () => {
  regions = await Regions.prepare();
  const all = await Promise.all(['beijing', 'shanghai', 'guangzhou'].map((region) => regions.start(region, QUICK)));
  [beijing, , guangzhou] = all as [RunningRegion, RunningRegion, RunningRegion];
  const client: ReplicaOptions['client'] = {
    async *watch(request, options) {
      for await (const update of openDoor(guangzhou).watch(request, options)) {
        if (update.isWhole) wholes++;
        yield update;
      }
    },
  };
  wholes = 0;
  const logger = createLogger({ name: 'test', region: 'guangzhou', level: 'silent' });
  replica = new Replica({ client, clock: systemClock, logger, random: systemRandom });
  await replica.start();
});

afterEach(async () => {
  await replica.stop();
  await regions.stop();
});

const write = (at: RunningRegion, key: string, text: string) =>
  at.replicator.write({ key, value: Buffer.from(text), when: 'differs' }, { timeoutMs: 5_000 });
const sees = (key: string) => Buffer.from(currentValue(replica.get(key)) ?? []).toString();
const hasSameVector = () => replica.vector().toString() === guangzhou.replicator.vector.toString();
const change = (action: 'add' | 'remove') =>
  beijing.replicator.changeMember('guangzhou', action, { timeoutMs: 5_000, author: 'operator/1' });

/** Nobody else will ever see it. */
async function writeAlone(): Promise<void> {
  await write(beijing, 'config/of-all', 'kept');
  await until(() => sees('config/of-all') === 'kept' || 'not replicated');
  regions.cutOff('guangzhou');
  await write(guangzhou, 'config/alone', 'of guangzhou');
  await until(() => sees('config/alone') === 'of guangzhou' || 'the replica does not follow');
}

test('values that only a removed region had are gone from its services once it was added again', async () => {
  await writeAlone();
  await change('remove');
  await until(() => change('add').then(() => true, String));
  await write(beijing, 'config/of-all', 'changed');
  regions.heal();
  await until(() => sees('config/of-all') === 'changed' || 'guangzhou is not back', 30_000);
  await until(() => sees('config/alone') === '' || 'it still has what nobody else ever saw');
  await until(hasSameVector);
  await write(guangzhou, 'config/again', 'of guangzhou');
  await until(() => sees('config/again') === 'of guangzhou' || 'the replica does not follow any more');
}, 60_000);

test('values that only a lost log had are gone, the others stay readable while the region gets its state back', async () => {
  await writeAlone();
  await guangzhou.stop();
  regions.broker.stream('guangzhou', 'STATE').purge('>');
  guangzhou = await regions.start('guangzhou', { ...QUICK, MERIDIAN_PEER_WAIT_MS: '100' });
  expect(guangzhou.replicator.get('config/of-all')).toBeUndefined();
  await write(beijing, 'config/of-all', 'changed');
  let isLost = false;
  replica.onChange(() => {
    isLost ||= sees('config/of-all') === '';
  });
  regions.heal();
  await until(() => sees('config/of-all') === 'changed' || 'guangzhou is not back', 30_000);
  await until(() => sees('config/alone') === '' || 'it still has what nobody has');
  await until(hasSameVector);
  expect(isLost).toBe(false);
}, 60_000);

test('a restart of the sync service tells nothing again', async () => {
  await write(guangzhou, 'config/a', 'one');
  await until(() => sees('config/a') === 'one' || 'the replica does not follow');
  const before = wholes;
  await guangzhou.stop();
  guangzhou = await regions.start('guangzhou', QUICK);
  await write(guangzhou, 'config/a', 'two');
  await until(() => sees('config/a') === 'two' || 'the replica does not follow');
  expect(wholes).toBe(before);
}, 60_000);

test('a deletion that all regions have forgotten is remembered by no service either', async () => {
  await write(beijing, 'config/gone', 'soon');
  await until(() => sees('config/gone') === 'soon' || 'the replica does not follow');
  await beijing.replicator.write({ key: 'config/gone', value: undefined, when: 'differs' }, { timeoutMs: 5_000 });
  await until(() => guangzhou.replicator.get('config/gone') === undefined || 'the deletion is not collected', 20_000);
  await until(() => replica.get('config/gone') === undefined || 'the replica still has its deletion');
  await write(guangzhou, 'config/gone', 'again');
  await until(() => sees('config/gone') === 'again' || 'the replica does not follow');
}, 60_000);
