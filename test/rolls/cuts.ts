import assert from 'node:assert/strict';
import { RollPhase, RollState } from '@meridian/contracts/roll';
import { systemClock } from '@meridian/runtime';
import type { ModelVersion } from './answers.ts';
import { REGIONS, type Trial } from './trial.ts';

/**
 * Rolls while guangzhou is cut off from both others, by links of real brokers. Each begins with an alias that means
 * `old` everywhere and clients at every door, and ends so; the checker of {@link Trial.problems} judges all answers.
 */
export interface CutOptions {
  readonly trial: Trial;
  readonly old: ModelVersion;
  readonly leaseMs: number;
  readonly tasksMin: number;
  readonly p95Factor: number;
}

/** What the region heard last may be as old as some heartbeats when the cut begins, and is looked at now and then. */
const LEASE_EARLY_MS = 1_500;
const LEASE_LATE_MS = 8_000;
/** Answers that show what a door goes on with. */
const SOME = 20;

/**
 * Two regions begin a roll of the alias that the other does not hear of; the later one counts everywhere after the heal,
 * and the other is shown as the one that lost. No region goes on with what lost.
 */
export async function concurrentRolls(
  { trial, old, leaseMs, tasksMin, p95Factor }: CutOptions,
  { earlier, later, first }: { earlier: ModelVersion; later: ModelVersion; first: 'beijing' | 'guangzhou' },
): Promise<void> {
  const second = first === 'beijing' ? 'guangzhou' : 'beijing';
  const common = { leaseMs, tasksMin, p95Factor };
  const waves = {
    beijing: [['beijing'], ['shanghai'], ['guangzhou']],
    guangzhou: [['guangzhou'], ['beijing']],
  } as const;
  trial.cutOff('guangzhou');
  const lost = await trial.begin(first, { ...common, to: earlier, waves: waves[first] });
  if (first === 'beijing') await trial.phase('shanghai', RollPhase.PASSED);
  else await trial.more('guangzhou', SOME);
  const won = await trial.begin(second, { ...common, to: later, waves: waves[second] });
  if (second === 'beijing') await trial.phase('beijing', RollPhase.PASSED);
  else await trial.more('guangzhou', SOME);
  assert.equal((await trial.view(first)).record?.rollId, lost, 'the regions hear of each other');
  const marks = REGIONS.map((region) => [region, trial.mark(region)] as const);
  trial.heal();
  await trial.everywhere(
    ({ record, losers }) => record?.rollId === won && losers.some(({ rollId }) => rollId === lost),
    'the later roll counts, and the other is shown',
  );
  for (const region of REGIONS) assert.ok((await trial.conflicts(region)).includes('alias/detector'), region);
  await trial.everywhere(({ state }) => state === RollState.COMPLETE, 'the roll is complete');
  for (const region of REGIONS) await trial.answers(region, later);
  for (const [region, mark] of marks) {
    const turns = trial.turns(region, mark);
    // Whoever began the later one may have it on trial already, and be cut off from it for a while.
    const orders = [earlier, later].map((before) => [before.name, old.name, later.name]);
    assert.ok(
      orders.some((order) => isInOrder(turns, order)),
      `${region} goes on with a roll that lost: ${turns.join(' → ')}`,
    );
  }
  await assert.rejects(trial.begin('shanghai', { ...common, to: earlier, waves: [] }), { reason: 'ALIAS_CONFLICTED' });
  await settle(trial, old);
}

/** A region that is cut off before its wave stays with the old model and holds the roll up; after the heal it goes on. */
export async function cutOffBefore(options: CutOptions, to: ModelVersion): Promise<void> {
  const { trial, old } = options;
  const mark = await beginAndCut(options, to);
  assert.equal((await trial.view('beijing')).state, RollState.UNDER_WAY, 'the roll waits');
  assert.deepEqual(trial.turns('guangzhou', mark), [old.name], 'guangzhou stays with the old model');
  assert.deepEqual(await used(trial), [to.name, to.name, old.name]);
  trial.heal();
  await trial.everywhere(({ state }) => state === RollState.COMPLETE, 'the roll is complete');
  for (const region of REGIONS) await trial.answers(region, to);
  assert.deepEqual(trial.turns('guangzhou', mark), [old.name, to.name]);
  await settle(trial, old);
}

/** The same, but the roll is taken back meanwhile: the region never uses the new model. */
export async function cutOffBeforeAndBack(options: CutOptions, to: ModelVersion): Promise<void> {
  const { trial, old } = options;
  const mark = await beginAndCut(options, to);
  await trial.back('shanghai');
  for (const region of ['beijing', 'shanghai'] as const) await trial.answers(region, old);
  trial.heal();
  await trial.everywhere(
    ({ state, record }) => state === RollState.SETTLED && record?.new?.model === old.name,
    'all are back',
  );
  await trial.more('guangzhou', SOME);
  assert.deepEqual(trial.turns('guangzhou', mark), [old.name]);
}

/** Guangzhou, third in the roll, knows of it and is cut off while the first wave is on trial; the second passes. */
async function beginAndCut({ trial, leaseMs, tasksMin, p95Factor }: CutOptions, to: ModelVersion): Promise<number> {
  await trial.traffic('shanghai').pause();
  const waves = [['beijing'], ['shanghai'], ['guangzhou']] as const;
  const rollId = await trial.begin('beijing', { to, leaseMs, tasksMin, p95Factor, waves });
  await trial.everywhere(({ record }) => record?.rollId === rollId, 'the roll is known');
  await trial.phase('beijing', RollPhase.PASSED);
  const mark = trial.mark('guangzhou');
  trial.cutOff('guangzhou');
  const cutAtMs = systemClock.monotonicMs();
  trial.traffic('shanghai').flow();
  await trial.phase('shanghai', RollPhase.PASSED, 'beijing');
  // For longer than the lease: what is left of it has no event.
  await systemClock.sleep(Math.max(0, leaseMs + LEASE_EARLY_MS - (systemClock.monotonicMs() - cutAtMs)));
  await trial.more('guangzhou', SOME);
  return mark;
}

/**
 * A region that has passed and is cut off for longer than the lease goes back by itself, while it is cut off, and comes
 * again with the heal.
 * @returns from the cut to the first answer of the old model
 */
export async function cutOffAfter(options: CutOptions, to: ModelVersion): Promise<number> {
  const { trial, old } = options;
  const mark = trial.mark('guangzhou');
  const backMs = await passAndCut(options, to);
  trial.heal();
  await trial.phase('guangzhou', RollPhase.PASSED);
  await trial.answers('guangzhou', to);
  assert.deepEqual(trial.turns('guangzhou', mark), [old.name, to.name, old.name, to.name]);
  trial.traffic('shanghai').flow();
  await trial.everywhere(({ state }) => state === RollState.COMPLETE, 'the roll is complete');
  for (const region of REGIONS) await trial.answers(region, to);
  await settle(trial, old);
  return backMs;
}

/** The same, but the roll is taken back while the region is cut off: it stays where it went by itself. */
export async function cutOffAfterAndBack(options: CutOptions, to: ModelVersion): Promise<number> {
  const { trial, old } = options;
  const mark = trial.mark('guangzhou');
  const backMs = await passAndCut(options, to);
  await trial.back('beijing');
  trial.heal();
  await trial.everywhere(
    ({ state, record }) => state === RollState.SETTLED && record?.new?.model === old.name,
    'all are back',
  );
  await trial.more('guangzhou', SOME);
  assert.deepEqual(trial.turns('guangzhou', mark), [old.name, to.name, old.name]);
  trial.traffic('shanghai').flow();
  return backMs;
}

/** Guangzhou passes first; the next region has no traffic, so the roll stays open, and guangzhou is cut off. */
async function passAndCut({ trial, old, leaseMs, tasksMin, p95Factor }: CutOptions, to: ModelVersion): Promise<number> {
  await trial.traffic('shanghai').pause();
  const waves = [['guangzhou'], ['shanghai'], ['beijing']] as const;
  await trial.begin('beijing', { to, leaseMs, tasksMin, p95Factor, waves });
  await trial.phase('guangzhou', RollPhase.PASSED);
  await trial.answers('guangzhou', to);
  trial.cutOff('guangzhou');
  const cutAtMs = systemClock.monotonicMs();
  await trial.answers('guangzhou', old);
  const backMs = systemClock.monotonicMs() - cutAtMs;
  const { phase } = await trial.rowOf('guangzhou');
  assert.equal(phase?.phase, RollPhase.CUT_OFF);
  assert.match(phase?.reason ?? '', /^cut off from the roll for more than/);
  assert.ok(backMs > leaseMs - LEASE_EARLY_MS, `back ${backMs} ms after the cut, of a lease of ${leaseMs}`);
  assert.ok(backMs < leaseMs + LEASE_LATE_MS, `back ${backMs} ms after the cut, of a lease of ${leaseMs}`);
  assert.equal((await trial.view('beijing')).state, RollState.UNDER_WAY, 'being cut off is no failure');
  await trial.more('guangzhou', SOME);
  return backMs;
}

async function settle(trial: Trial, old: ModelVersion): Promise<void> {
  await trial.back('shanghai');
  await trial.everywhere(
    ({ state, record, losers }) =>
      state === RollState.SETTLED && record?.new?.model === old.name && losers.length === 0,
    'the alias is settled on the old model',
  );
  for (const region of REGIONS) await trial.answers(region, old);
}

async function used(trial: Trial): Promise<(string | undefined)[]> {
  return Promise.all(REGIONS.map(async (region) => (await trial.rowOf(region)).serves?.model));
}

/** The turns are some of these models, in this order, and end with the last. */
function isInOrder(turns: readonly string[], order: readonly string[]): boolean {
  let at = -1;
  for (const model of turns) {
    at = order.indexOf(model, at + 1);
    if (at < 0) return false;
  }
  return turns.at(-1) === order.at(-1);
}
