import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { VersionVector } from '@meridian/causality';
import { Failure } from '@meridian/failure';
import { currentValue } from '@meridian/replica';
import { systemClock } from '@meridian/runtime';
import { Regions, type RunningRegion, until } from './region.fixture.ts';

/** Goal: an operator takes a region out and in again. Method: whole sync services on brokers in memory. */
let regions: Regions;
let [beijing, shanghai, guangzhou]: RunningRegion[] = [];

beforeEach(async () => {
  regions = await Regions.prepare();
  [beijing, shanghai, guangzhou] = await Promise.all(
    ['beijing', 'shanghai', 'guangzhou'].map((region) => regions.start(region, { MERIDIAN_HEAD_INTERVAL_MS: '100' })),
  );
});

afterEach(() => regions.stop());

const write = (at: RunningRegion | undefined, key: string, text: string) =>
  at?.replicator.write({ key, value: Buffer.from(text), when: 'differs' }, { timeoutMs: 5_000 });
const textOf = (at: RunningRegion | undefined, key: string) =>
  Buffer.from(currentValue(at?.replicator.get(key)) ?? []).toString();
const reasonOf = (done: Promise<unknown> | undefined) =>
  done?.then(
    () => '',
    (error) => Failure.from(error).reason,
  );
const change = (action: 'add' | 'remove') =>
  reasonOf(beijing?.replicator.changeMember('guangzhou', action, { timeoutMs: 5_000, author: 'operator/1' }));

async function untilAnswered(wanted: string, ask: () => Promise<string | undefined> | undefined): Promise<void> {
  let reason: string | undefined;
  for (let asked = 0; asked < 500 && reason !== wanted; asked++) {
    await systemClock.sleep(20);
    reason = await ask();
  }
  expect(reason).toBe(wanted);
}

test('a removed region writes no more; added again it begins anew and has everything of the others', async () => {
  await write(guangzhou, 'config/early', 'of guangzhou');
  await until(() => textOf(shanghai, 'config/early') === 'of guangzhou');
  let isOver = false;
  const stop = new AbortController();
  const watching = (async () => {
    for await (const _ of guangzhou?.replicator.watch(VersionVector.EMPTY, stop.signal) ?? []);
    isOver = true;
  })();
  expect(await change('remove')).toBe('');
  await untilAnswered('REGION_REMOVED', () => reasonOf(write(guangzhou, 'config/late', 'nobody will see it')));
  await write(beijing, 'config/meanwhile', 'of beijing');
  // Refused until every member has said how far it had seen the region.
  await untilAnswered('', () => change('add'));
  await until(() => textOf(guangzhou, 'config/meanwhile') === 'of beijing' || 'guangzhou is not back');
  await until(() => isOver || 'its readers were not sent away');
  expect(textOf(guangzhou, 'config/early')).toBe('of guangzhou');
  await write(guangzhou, 'config/again', 'of guangzhou');
  await until(() => textOf(shanghai, 'config/again') === 'of guangzhou' || 'shanghai does not hear guangzhou');
  expect(textOf(shanghai, 'config/late')).toBe(textOf(guangzhou, 'config/late'));
  stop.abort();
  await watching;
  // What it took in and wrote since is in its own log.
  regions.cutOff('guangzhou');
  await guangzhou?.stop();
  guangzhou = await regions.start('guangzhou', { MERIDIAN_PEER_WAIT_MS: '0' });
  const keys = ['config/early', 'config/meanwhile', 'config/again'];
  expect(keys.map((key) => textOf(guangzhou, key))).toEqual(['of guangzhou', 'of beijing', 'of guangzhou']);
}, 60_000);
