import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Failure } from '@meridian/failure';
import { type Manifest, modelDigest } from '@meridian/models';
import { aliasKey, currentValue, type Evidence, isConflicted, phaseOf, rollState, targetIn } from '@meridian/replica';
import { systemClock } from '@meridian/runtime';
import { modelValue } from '../catalogue/model-record.ts';
import { manifestOf, REGIONS, Regions, type RunningRegion, until } from '../region.fixture.ts';
import type { RollRequest } from './plan-roll.ts';

/**
 * Goal: rolls through the sync services as they are composed: records and phases in the shared state, readiness and
 * problems of workers, evidence of schedulers, cut links. Method: three regions on brokers in memory; what workers and
 * schedulers would report is reported by hand.
 */
type Region = (typeof REGIONS)[number];
const CALLER = { author: 'operator/test', cause: undefined };
const QUICK = { MERIDIAN_FETCH_INTERVAL_MS: '200', MERIDIAN_PEER_WAIT_MS: '500' };
const REQUEST: RollRequest = {
  waves: [['guangzhou'], ['shanghai'], ['beijing']],
  leaseMs: 1_000,
  gate: {},
};
const GOOD: Evidence = { tasks: 60, errors: 0, p95Ms: 10 };
const SLOW: Evidence = { tasks: 60, errors: 0, p95Ms: 50 };

let regions: Regions;
let running: Map<Region, RunningRegion>;
let old: Manifest;
let next: Manifest;
let reporting: AbortController;
/** Regions that have no tasks. */
const few = new Set<Region>();

beforeEach(async () => {
  regions = await Regions.prepare();
  old = await regions.install('small');
  next = await regions.install('large');
  const started = await Promise.all(REGIONS.map((region) => regions.start(region, QUICK)));
  running = new Map(started.map((one) => [one.region as Region, one]));
  reporting = new AbortController();
  few.clear();
  for (const region of REGIONS) await ready(region, old);
  await at('beijing').rolls.create('detector', 'small', CALLER);
  await everywhere((entry) => entry.roll.new.model === 'small');
});

afterEach(async () => {
  reporting.abort();
  await regions.stop();
});

const at = (region: Region) => running.get(region) as RunningRegion;
const entryAt = (region: Region) =>
  at(region)
    .rolls.all()
    .find(({ roll }) => roll.alias === 'detector');
const usedIn = (region: Region) => {
  const entry = entryAt(region);
  return entry && targetIn(entry.roll, entry.phases, region).model;
};
const used = () => REGIONS.map(usedIn);
const phaseIn = (region: Region) => {
  const entry = entryAt(region);
  return entry && phaseOf(entry.roll, entry.phases, region);
};
const stateIn = (region: Region) => {
  const entry = entryAt(region);
  return entry && rollState(entry.roll, entry.phases);
};
const shown = () =>
  REGIONS.map((region) => `${region}: ${usedIn(region)} ${phaseIn(region)?.phase} ${phaseIn(region)?.reason}`).join(
    '\n',
  );
const everywhere = (holds: (entry: NonNullable<ReturnType<typeof entryAt>>) => boolean, timeoutMs?: number) =>
  until(
    () =>
      REGIONS.every((region) => {
        const entry = entryAt(region);
        return entry !== undefined && holds(entry);
      }) || shown(),
    timeoutMs,
  );
const reasonOf = (call: Promise<unknown>) =>
  call.then(
    () => 'none',
    (error) => Failure.from(error).reason,
  );

function ready(region: Region, manifest: Manifest): Promise<unknown> {
  return at(region).readiness.report(modelDigest(manifest), 'w1', { isReady: true }, undefined);
}

/** What the region's scheduler says of the new model, once the region uses it, until the end of the test. */
function tasksIn(region: Region, found: Evidence): void {
  const report = () => {
    const entry = entryAt(region);
    const isOnTrial = phaseIn(region)?.phase === 'serving-new';
    const none = { tasks: 0, errors: 0, p95Ms: 0 };
    if (entry !== undefined)
      at(region).evidence.report(entry.roll.rollId, 's1', {
        old: GOOD,
        new: isOnTrial && !few.has(region) ? found : none,
        atMs: systemClock.monotonicMs(),
      });
    if (!reporting.signal.aborted) systemClock.setTimer(50, report);
  };
  report();
}

describe('a roll', () => {
  test('goes wave by wave and ends with the new model everywhere; --back ends it with the old one', async () => {
    for (const region of REGIONS) {
      await ready(region, next);
      tasksIn(region, GOOD);
    }
    await at('shanghai').rolls.begin('detector', 'large', REQUEST, CALLER);
    await everywhere((entry) => rollState(entry.roll, entry.phases) === 'complete');
    expect(used()).toEqual(['large', 'large', 'large']);
    const order = REGIONS.map((region) => [phaseIn(region)?.sinceMs ?? 0, region] as const).sort(([a], [b]) => a - b);
    expect(order.map(([, region]) => region)).toEqual(['guangzhou', 'shanghai', 'beijing']);
    expect(phaseIn('guangzhou')).toMatchObject({ phase: 'passed', old: GOOD, new: GOOD });
    await at('guangzhou').rolls.back('detector', CALLER);
    await until(() => used().every((model) => model === 'small') || shown());
    expect(await reasonOf(at('guangzhou').rolls.back('detector', CALLER))).toBe('NOTHING_TO_GO_BACK_TO');
  });

  test('to a model that loads but answers wrongly fails in the first wave, and no region uses it', async () => {
    for (const region of REGIONS) tasksIn(region, GOOD);
    for (const region of REGIONS)
      at(region).problems.report(modelDigest(next), 'w1', 'golden picture cat.jpg: expected cat', 60_000);
    await at('beijing').rolls.begin('detector', 'large', REQUEST, CALLER);
    await everywhere((entry) => rollState(entry.roll, entry.phases) === 'failed');
    expect(phaseIn('guangzhou')?.reason).toBe('golden picture cat.jpg: expected cat');
    expect(used()).toEqual(['small', 'small', 'small']);
  });

  test('to a model that is five times slower in the second wave goes back everywhere', async () => {
    for (const region of REGIONS) {
      await ready(region, next);
      tasksIn(region, region === 'shanghai' ? SLOW : GOOD);
    }
    await at('beijing').rolls.begin('detector', 'large', REQUEST, CALLER);
    await until(() => usedIn('guangzhou') === 'large' || shown());
    await everywhere((entry) => rollState(entry.roll, entry.phases) === 'failed');
    await until(() => phaseIn('guangzhou')?.phase === 'back' || shown());
    expect(phaseIn('shanghai')?.reason).toBe(
      '95 % of 60 inferences took up to 50.0 ms; up to 35.0 ms may be, and 10.0 ms was before',
    );
    expect(phaseIn('beijing')).toBeUndefined();
    expect(used()).toEqual(['small', 'small', 'small']);
  });

  test('waits for weights that are still on their way, whatever workers say of them meanwhile', async () => {
    const weights = Buffer.from('weights that are not here');
    const far = manifestOf('far', weights);
    const { key, value } = modelValue(far);
    await at('beijing').replicator.write({ key, value, when: 'differs' }, { timeoutMs: 5_000 });
    await until(() => REGIONS.every((region) => at(region).replicator.get(key) !== undefined));
    tasksIn('guangzhou', GOOD);
    at('guangzhou').problems.report(modelDigest(far), 'w1', 'this region does not have the weights', 60_000);
    await at('beijing').rolls.begin('detector', 'far', REQUEST, CALLER);
    await until(() => phaseIn('guangzhou')?.phase === 'loading' || shown());
    await until(() => at('guangzhou').problems.of(modelDigest(far)) === '');
    expect(stateIn('guangzhou')).toBe('under-way');
  });
});

describe('two rolls', () => {
  test('one after the other: the second is refused and names the first', async () => {
    await at('beijing').rolls.begin('detector', 'large', REQUEST, CALLER);
    const again = await at('beijing').rolls.begin('detector', 'large', REQUEST, CALLER).catch(Failure.from);
    expect(again).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'ROLL_UNDER_WAY' });
    expect((again as Failure).message).toContain(entryAt('beijing')?.roll.rollId);
  });

  test('at the same time in regions that do not hear of each other: one counts everywhere, the other is shown', async () => {
    for (const region of REGIONS) {
      await ready(region, next);
      tasksIn(region, GOOD);
    }
    regions.cutOff('guangzhou');
    await at('guangzhou').rolls.begin('detector', 'large', REQUEST, CALLER);
    await until(() => usedIn('guangzhou') === 'large' || shown());
    await at('beijing').rolls.begin('detector', 'large', { ...REQUEST, waves: [['beijing']] }, CALLER);
    regions.heal();
    await everywhere((entry) => entry.losers.length === 1);
    expect(new Set(REGIONS.map((region) => entryAt(region)?.roll.region))).toEqual(new Set(['beijing']));
    const entry = at('guangzhou').replicator.get(aliasKey('detector'));
    expect(entry && isConflicted(entry)).toBe(true);
    await everywhere(({ roll, phases }) => rollState(roll, phases) === 'complete');
    expect(used()).toEqual(['large', 'large', 'large']);
  });
});

describe('a region that is cut off', () => {
  beforeEach(async () => {
    for (const region of REGIONS) {
      await ready(region, next);
      tasksIn(region, GOOD);
    }
  });

  test('before its wave keeps the old model, and goes on with the roll after the heal', async () => {
    regions.cutOff('shanghai');
    await at('guangzhou').rolls.begin('detector', 'large', REQUEST, CALLER);
    await until(() => phaseIn('guangzhou')?.phase === 'passed' || shown());
    expect(used()).toEqual(['small', 'small', 'large']);
    regions.heal();
    await everywhere((entry) => rollState(entry.roll, entry.phases) === 'complete', 20_000);
    expect(used()).toEqual(['large', 'large', 'large']);
  });

  test('after its wave goes back by itself when its lease is over, and comes again after the heal', async () => {
    // Shanghai has too little traffic for now: the roll stays open.
    few.add('shanghai');
    await at('beijing').rolls.begin('detector', 'large', REQUEST, CALLER);
    await until(() => phaseIn('guangzhou')?.phase === 'passed' || shown());
    regions.cutOff('guangzhou');
    expect(usedIn('guangzhou')).toBe('large');
    await until(() => phaseIn('guangzhou')?.phase === 'cut-off' || shown());
    expect(usedIn('guangzhou')).toBe('small');
    regions.heal();
    await until(() => phaseIn('guangzhou')?.phase === 'passed' || shown());
    expect(usedIn('guangzhou')).toBe('large');
    few.clear();
    await everywhere((entry) => rollState(entry.roll, entry.phases) === 'complete', 20_000);
    expect(used()).toEqual(['large', 'large', 'large']);
  });
});

describe('a region that is removed in the middle', () => {
  const others = ['beijing', 'shanghai'] as const;
  const change = (action: 'add' | 'remove') =>
    at('beijing').replicator.changeMember('guangzhou', action, { timeoutMs: 5_000, author: 'operator/1' });
  const whole = (region: Region) => {
    const entry = entryAt(region);
    return entry && rollState(entry.roll, entry.phases);
  };

  test('does not hold up the roll; added again it uses what the roll ended with, and is in the next one', async () => {
    for (const region of REGIONS) {
      await ready(region, next);
      tasksIn(region, GOOD);
    }
    few.add('guangzhou');
    await at('beijing').rolls.begin('detector', 'large', REQUEST, CALLER);
    await until(() => phaseIn('guangzhou')?.phase === 'serving-new' || shown());
    await change('remove');
    await until(() => others.every((region) => whole(region) === 'complete') || shown(), 20_000);
    const [left] = others.map((region) => entryAt(region)?.phases.get('guangzhou'));
    expect(left).toMatchObject({ phase: 'left-out', reason: 'removed from the membership' });
    await until(() => change('add').then(() => true, String));
    await until(() => whole('guangzhou') === 'complete' || shown(), 20_000);
    expect(used()).toEqual(['large', 'large', 'large']);
    expect([...at('beijing').replicator.entries('roll/')].filter(isConflicted)).toEqual([]);
    few.clear();
    await ready('guangzhou', old);
    await ready('guangzhou', next);
    await until(() => others.every((region) => entryAt(region)?.roll !== undefined));
    await at('shanghai').rolls.begin('detector', 'small', REQUEST, CALLER);
    await everywhere((entry) => rollState(entry.roll, entry.phases) === 'complete', 20_000);
    expect([used(), phaseIn('guangzhou')?.phase]).toEqual([['small', 'small', 'small'], 'passed']);
  }, 60_000);

  test('is in no roll that begins without it, and gets none of its weights', async () => {
    await change('remove');
    await until(() => !at('shanghai').members.active.includes('guangzhou') || 'shanghai has not heard of it');
    const { waves } = (await at('shanghai').rolls.begin('detector', 'large', { ...REQUEST, waves: [] }, CALLER)).roll;
    expect(waves).toEqual([['beijing'], ['shanghai']]);
    const named = at('shanghai').rolls.back('detector', CALLER);
    await named;
    const refused = at('shanghai').rolls.begin('detector', 'large', REQUEST, CALLER).catch(Failure.from);
    expect(await refused).toMatchObject({ reason: 'ROLL_INVALID' });
  });
});

describe('names', () => {
  test('models and aliases share them, and what an alias means cannot be replaced', async () => {
    const { rolls } = at('beijing');
    expect(await reasonOf(rolls.create('small', 'large', CALLER))).toBe('NAME_TAKEN');
    expect(await reasonOf(rolls.create('detector', 'large', CALLER))).toBe('ALIAS_EXISTS');
    expect(await reasonOf(rolls.create('detector', 'small', CALLER))).toBe('none');
    expect(await reasonOf(rolls.create('Detector', 'small', CALLER))).toBe('ALIAS_INVALID');
    expect(await reasonOf(rolls.create('other', 'nothing', CALLER))).toBe('MODEL_UNKNOWN');
    expect(await reasonOf(rolls.begin('other', 'small', REQUEST, CALLER))).toBe('ALIAS_UNKNOWN');
    expect(await reasonOf(rolls.begin('detector', 'small', REQUEST, CALLER))).toBe('ALIAS_THERE');
    const waves = (...asked: string[][]) => rolls.begin('detector', 'large', { ...REQUEST, waves: asked }, CALLER);
    expect(await reasonOf(waves(['atlantis']))).toBe('ROLL_INVALID');
    expect(await reasonOf(waves(['beijing'], ['beijing']))).toBe('ROLL_INVALID');
    expect(await reasonOf(rolls.begin('detector', 'large', { ...REQUEST, leaseMs: 10 }, CALLER))).toBe('ROLL_INVALID');
    const admit = (name: string) => () => rolls.requireFree(manifestOf(name, Buffer.from('other weights')));
    expect(admit('detector')).toThrow(expect.objectContaining({ reason: 'NAME_TAKEN' }));
    expect(admit('small')).toThrow(expect.objectContaining({ reason: 'MODEL_IN_USE' }));
    expect(admit('large')).not.toThrow();
    expect(() => rolls.requireFree(old)).not.toThrow();
    expect(() => rolls.requireUnused('small')).toThrow(expect.objectContaining({ reason: 'MODEL_IN_USE' }));
    expect(() => rolls.requireUnused('large')).not.toThrow();
  });

  test('a changed catalogue does not take away the version that an alias means', async () => {
    const changed = await regions.install('small', 'next release');
    await at('beijing').stop();
    running.set('beijing', await regions.start('beijing', QUICK));
    const model = () => at('beijing').replicator.get(modelValue(old).key);
    expect(Buffer.from(currentValue(model()) ?? []).equals(Buffer.from(modelValue(old).value))).toBe(true);
    await at('beijing').rolls.begin('detector', 'large', { ...REQUEST, gate: { skipTasks: true } }, CALLER);
    await at('beijing').rolls.back('detector', CALLER);
    expect(() => at('beijing').rolls.requireFree(changed)).toThrow(/^the alias detector needs this version of small/);
  });
});
