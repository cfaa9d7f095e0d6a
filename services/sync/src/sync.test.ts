import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { regionOf } from '@meridian/causality';
import { DEFAULT_MODEL, modelDigest } from '@meridian/models';
import { isConflicted, ModelIndex, readyKey, DEFAULT_MODEL as replicaDefault, winnerOf } from '@meridian/replica';
import { modelValue } from './catalogue/model-record.ts';
import { openDoor } from './door.fixture.ts';
import { manifestOf, REGIONS, Regions, type RunningRegion, until } from './region.fixture.ts';

/**
 * Goal: what docs/consistency.md says of starts, restarts, cuts and heals, for the service as it is composed.
 * Method: the parts of three regions on brokers in memory, with real folders and a catalogue of two small models.
 */
let regions: Regions;

beforeEach(async () => {
  regions = await Regions.prepare();
  await regions.install('small');
  await regions.install('large');
});

afterEach(() => regions.stop());

const textOf = (running: RunningRegion) => running.replicator.vector.toString();
const equal = (...all: RunningRegion[]) => all.every((running) => textOf(running) === textOf(all[0] as RunningRegion));
const epochsOf = (running: RunningRegion, region: string) =>
  [...running.replicator.vector.entries()].filter(([actor]) => regionOf(actor) === region).length;

function modelsOf({ replicator }: RunningRegion): ModelIndex {
  const index = new ModelIndex();
  for (const entry of replicator.entries()) index.update(entry);
  return index;
}

const noConflict = (running: RunningRegion) => ![...running.replicator.entries()].some(isConflicted);

describe('the catalogue', () => {
  test('regions that start together offer the same models and have one value of each, not a conflict', async () => {
    const all = await Promise.all(REGIONS.map((region) => regions.start(region)));
    await until(() => equal(...all) && (all[0]?.replicator.vector.size ?? 0) > 0);
    for (const running of all) {
      expect(
        modelsOf(running)
          .models()
          .map(({ name }) => name),
      ).toEqual(['large', 'small']);
      expect(noConflict(running)).toBe(true);
    }
  });

  test('100 starts on one state folder write nothing after the first', async () => {
    const first = await regions.start('beijing', { MERIDIAN_PEER_WAIT_MS: '0' });
    const vector = textOf(first);
    const length = regions.logLength('beijing');
    await first.stop();
    for (let i = 0; i < 100; i++) {
      const running = await regions.start('beijing', { MERIDIAN_PEER_WAIT_MS: '0' });
      expect(textOf(running)).toBe(vector);
      await running.stop();
    }
    expect(regions.logLength('beijing')).toBe(length);
  });

  test('100 restarts while cut off grow nothing; after the heal vectors are equal, and nothing conflicts', async () => {
    let [beijing, ...others] = (await Promise.all(REGIONS.map((region) => regions.start(region)))) as [
      RunningRegion,
      ...RunningRegion[],
    ];
    await until(() => equal(beijing, ...others));
    const before = [textOf(beijing), regions.logLength('beijing')];
    regions.cutOff('beijing');
    for (let i = 0; i < 100; i++) {
      await beijing.stop();
      beijing = await regions.start('beijing', { MERIDIAN_PEER_WAIT_MS: '0' });
      expect(modelsOf(beijing).models()).toHaveLength(2);
    }
    expect([textOf(beijing), regions.logLength('beijing')]).toEqual(before);
    regions.heal();
    await until(() => equal(beijing, ...others));
    expect(textOf(beijing)).toBe(before[0]);
    expect([beijing, ...others].every(noConflict)).toBe(true);
  });

  test('a region that starts for the first time while cut off serves the same models, and joins without conflict', async () => {
    regions.cutOff('beijing');
    const others = await Promise.all(
      ['shanghai', 'guangzhou'].map((region) => regions.start(region, { MERIDIAN_PEER_WAIT_MS: '100' })),
    );
    const beijing = await regions.start('beijing', { MERIDIAN_PEER_WAIT_MS: '100' });
    expect(modelsOf(beijing).models()).toHaveLength(2);
    regions.heal();
    await until(() => equal(beijing, ...others));
    for (const running of [beijing, ...others]) {
      expect(noConflict(running)).toBe(true);
      expect(REGIONS.map((region) => epochsOf(running, region))).not.toContain(2);
    }
  });

  test('a restart does not undo what an operator put in the place of a model; a changed catalogue does', async () => {
    let beijing = await regions.start('beijing', { MERIDIAN_PEER_WAIT_MS: '0' });
    const own = modelValue(manifestOf('small', Buffer.from('weights of small'), 'tuned by an operator'));
    await beijing.replicator.write({ ...own, when: 'differs' }, { timeoutMs: 5_000 });
    await beijing.stop();
    beijing = await regions.start('beijing', { MERIDIAN_PEER_WAIT_MS: '0' });
    expect(modelsOf(beijing).model('small')?.digest).toBe(own.digest);
    await beijing.stop();
    const changed = await regions.install('small', 'next release');
    beijing = await regions.start('beijing', { MERIDIAN_PEER_WAIT_MS: '0' });
    expect(modelsOf(beijing).model('small')?.digest).toBe(modelDigest(changed));
    expect(noConflict(beijing)).toBe(true);
  });
});

test('replicas mean the same default model as the catalogue', () => expect(replicaDefault).toBe(DEFAULT_MODEL));

describe('writes', () => {
  test('a write reaches the others at once, and what was lost meanwhile comes with the next fetch', async () => {
    const all = await Promise.all(REGIONS.map((region) => regions.start(region)));
    await until(() => equal(...all));
    const [beijing, shanghai] = all as [RunningRegion, RunningRegion, RunningRegion];
    const write = (key: string) =>
      beijing.replicator.write({ key, value: Buffer.from('v'), when: 'differs' }, { timeoutMs: 5_000 });
    const { vector } = await write('label/a');
    await until(() => shanghai.replicator.vector.dominates(vector), 1_000);
    regions.cutOff('shanghai');
    await write('label/b');
    regions.heal();
    // The delta of c shows that b is missing: it is fetched now, not after the interval.
    await write('label/c');
    await until(() => equal(...all), 2_000);
    expect(shanghai.replicator.get('label/b')).toBeDefined();
  });

  test('concurrent writes of two regions are a conflict with the same winner everywhere', async () => {
    const all = await Promise.all(REGIONS.map((region) => regions.start(region)));
    await until(() => equal(...all));
    for (const region of REGIONS) regions.cutOff(region);
    await Promise.all(
      all.map(({ replicator, region }) =>
        replicator.write({ key: 'label/x', value: Buffer.from(region), when: 'differs' }, { timeoutMs: 5_000 }),
      ),
    );
    regions.heal();
    await until(() => equal(...all), 15_000);
    const entries = all.map(({ replicator }) => replicator.get('label/x'));
    expect(entries.map((entry) => entry?.versions.length)).toEqual([3, 3, 3]);
    expect(new Set(entries.map((entry) => entry && winnerOf(entry)?.dot.actor)).size).toBe(1);
  });

  test('a second writer of the log ends the process by name instead of losing a write', async () => {
    const beijing = await regions.start('beijing', { MERIDIAN_PEER_WAIT_MS: '0' });
    const other = await regions.start('beijing', { MERIDIAN_PEER_WAIT_MS: '0' });
    const write = ({ replicator }: RunningRegion, text: string) =>
      replicator.write({ key: 'label/a', value: Buffer.from(text), when: 'differs' }, { timeoutMs: 300 });
    await write(beijing, 'one');
    await expect(write(other, 'two')).rejects.toMatchObject({ reason: 'WRITE_UNKNOWN' });
    expect(other.failures).toEqual([expect.objectContaining({ reason: 'ANOTHER_WRITER' })]);
    expect(beijing.failures).toEqual([]);
  });
});

describe('readiness', () => {
  test('a region is ready while one worker says so, and some time after the last has left it is not', async () => {
    const [beijing, shanghai] = await Promise.all([
      regions.start('beijing', { MERIDIAN_UNREADY_AFTER_MS: '20', MERIDIAN_PEER_WAIT_MS: '100' }),
      regions.start('shanghai', { MERIDIAN_PEER_WAIT_MS: '100' }),
    ]);
    const digest = modelsOf(beijing).model('small')?.digest ?? '';
    for (const worker of ['w1', 'w2']) await beijing.readiness.report(digest, worker, { isReady: true }, undefined);
    const length = regions.logLength('beijing');
    await until(() => modelsOf(shanghai).readyRegions(digest).has('beijing'));
    await beijing.readiness.report(digest, 'w1', { isReady: false }, undefined);
    await beijing.readiness.report(digest, 'w1', { isReady: true }, undefined);
    expect(regions.logLength('beijing')).toBe(length);
    await beijing.readiness.report(digest, 'w1', { isReady: false }, undefined);
    await beijing.readiness.report(digest, 'w2', { isReady: false }, undefined);
    await until(() => !modelsOf(shanghai).readyRegions(digest).has('beijing'));
    expect(beijing.replicator.get(readyKey('beijing', digest))?.versions).toHaveLength(1);
  });

  test('a worker that falls silent counts no more: the region is not ready, and what other workers say is shown', async () => {
    const [beijing, shanghai] = await Promise.all([
      regions.start('beijing', { MERIDIAN_UNREADY_AFTER_MS: '20', MERIDIAN_PEER_WAIT_MS: '100' }),
      regions.start('shanghai', { MERIDIAN_PEER_WAIT_MS: '100' }),
    ]);
    const digest = modelsOf(beijing).model('small')?.digest ?? '';
    const door = openDoor(beijing);
    const problem = () => door.models().models.find(({ name }) => name === 'small')?.problem;
    await beijing.readiness.report(digest, 'w1', { isReady: true, leaseMs: 6_000 }, undefined);
    beijing.problems.report(digest, 'w2', 'golden picture 1: no cat was found', 60_000);
    await until(() => modelsOf(shanghai).readyRegions(digest).has('beijing'));
    expect(problem()).toBe('');
    await until(() => !modelsOf(shanghai).readyRegions(digest).has('beijing'), 20_000);
    expect(problem()).toBe('golden picture 1: no cat was found');
    door.close();
  });

  test('a region that stops with its workers writes nothing, and starts as ready as it was', async () => {
    let beijing = await regions.start('beijing', { MERIDIAN_PEER_WAIT_MS: '0' });
    const digest = modelsOf(beijing).model('small')?.digest ?? '';
    await beijing.readiness.report(digest, 'w1', { isReady: true }, undefined);
    const length = regions.logLength('beijing');
    await beijing.readiness.report(digest, 'w1', { isReady: false }, undefined);
    await beijing.stop();
    beijing = await regions.start('beijing', { MERIDIAN_PEER_WAIT_MS: '0' });
    await beijing.readiness.report(digest, 'w1', { isReady: true }, undefined);
    expect(regions.logLength('beijing')).toBe(length);
    expect(modelsOf(beijing).readyRegions(digest)).toEqual(new Set(['beijing']));
  });
});

describe('a broker that lost its store', () => {
  const quick = { MERIDIAN_PEER_WAIT_MS: '100' };
  const write = ({ replicator }: RunningRegion, key: string) =>
    replicator.write({ key, value: Buffer.from('v'), when: 'differs' }, { timeoutMs: 1_000 });

  test('ends the service that runs, whatever it writes next; the next one takes writes when it has all again', async () => {
    const shanghai = await regions.start('shanghai', quick);
    let beijing = await regions.start('beijing', quick);
    await write(beijing, 'label/a');
    await until(() => equal(beijing, shanghai));
    const before = [...beijing.replicator.vector.entries()].map(([actor]) => actor);
    regions.broker.loseStore('beijing');
    // No record of this key could contradict it.
    await expect(write(beijing, 'label/new')).rejects.toMatchObject({ reason: 'WRITE_UNKNOWN' });
    expect(new Set(beijing.failures.map(({ reason }) => reason))).toEqual(new Set(['LOG_REPLACED']));
    expect(regions.logLength('beijing')).toBe(0);
    await beijing.stop();
    regions.cutOff('beijing');
    beijing = await regions.start('beijing', { ...quick, MERIDIAN_CATALOGUE_DIRECTORY: '' });
    await expect(write(beijing, 'label/b')).rejects.toMatchObject({ code: 'UNAVAILABLE', reason: 'RECOVERING' });
    regions.heal();
    await until(() => equal(beijing, shanghai));
    await write(beijing, 'label/b');
    expect(beijing.replicator.get('label/a')).toBeDefined();
    const own = [...beijing.replicator.vector.entries()].filter(([actor]) => regionOf(actor) === 'beijing');
    expect(own.filter(([actor]) => before.includes(actor))).toEqual([]);
  });

  test('is idle: the service notices all the same', async () => {
    const beijing = await regions.start('beijing', quick);
    regions.broker.loseStore('beijing');
    await until(() => beijing.failures.some(({ reason }) => reason === 'LOG_REPLACED'));
  });

  test('has only some of it again: a service that starts then takes no writes either', async () => {
    const shanghai = await regions.start('shanghai', quick);
    let beijing = await regions.start('beijing', quick);
    await write(beijing, 'label/a');
    await write(beijing, 'label/b');
    await until(() => equal(beijing, shanghai));
    await beijing.stop();
    const record = regions.broker.stream('beijing', 'STATE').lastOf('meridian.beijing.state.label/a');
    regions.broker.loseStore('beijing');
    if (record !== undefined) regions.broker.inject('beijing', record);
    regions.cutOff('beijing');
    beijing = await regions.start('beijing', quick);
    expect(beijing.replicator.get('label/a')).toBeDefined();
    await expect(write(beijing, 'label/c')).rejects.toMatchObject({ reason: 'RECOVERING' });
    regions.heal();
    await until(() => equal(beijing, shanghai));
    expect(beijing.replicator.get('label/b')).toBeDefined();
    await write(beijing, 'label/c');
  });
});

describe('the log', () => {
  test('a record that cannot be read costs no dot: everything is asked for again, and a new epoch begins', async () => {
    const quick = { MERIDIAN_PEER_WAIT_MS: '100' };
    const shanghai = await regions.start('shanghai', quick);
    let beijing = await regions.start('beijing', quick);
    await until(() => equal(beijing, shanghai));
    await beijing.replicator.write({ key: 'label/a', value: Buffer.from('v'), when: 'differs' }, { timeoutMs: 5_000 });
    await until(() => equal(beijing, shanghai));
    const before = epochsOf(beijing, 'beijing');
    await beijing.stop();
    regions.broker.inject('beijing', {
      subject: 'meridian.beijing.state.label/broken',
      headers: [],
      data: Buffer.from('no record'),
    });
    beijing = await regions.start('beijing', quick);
    await until(() => equal(beijing, shanghai));
    expect(beijing.replicator.get('label/a')).toBeDefined();
    await beijing.replicator.write({ key: 'label/a', value: Buffer.from('w'), when: 'differs' }, { timeoutMs: 5_000 });
    // The ended epoch has left the vector that travels.
    expect(epochsOf(beijing, 'beijing')).toBe(before);
    await until(() => equal(beijing, shanghai));
  });

  test('of which the record that names it cannot be read is filled up from the others, and has a name again', async () => {
    const quick = { MERIDIAN_PEER_WAIT_MS: '100' };
    const shanghai = await regions.start('shanghai', quick);
    let beijing = await regions.start('beijing', quick);
    await until(() => equal(beijing, shanghai));
    await beijing.stop();
    const subject = 'meridian.beijing.state.~meta';
    regions.broker.inject('beijing', { subject, headers: [], data: Buffer.from('no record') });
    beijing = await regions.start('beijing', quick);
    await until(() => equal(beijing, shanghai));
    await beijing.replicator.write({ key: 'label/a', value: Buffer.from('v'), when: 'differs' }, { timeoutMs: 5_000 });
    await beijing.stop();
    regions.cutOff('beijing');
    beijing = await regions.start('beijing', quick);
    await beijing.replicator.write({ key: 'label/a', value: Buffer.from('w'), when: 'differs' }, { timeoutMs: 5_000 });
    expect(beijing.failures).toEqual([]);
  });
});
