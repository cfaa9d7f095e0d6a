import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { ModelVersion } from '../rolls/answers.ts';
import { type CutOptions, concurrentRolls, cutOffAfter } from '../rolls/cuts.ts';
import { REGIONS, Trial } from '../rolls/trial.ts';
import { addVersion, installedManifest } from '../rolls/versions.ts';
import { type RunningSystem, startLocalSystem } from '../support/local-system.ts';

/**
 * Goal: rolls while regions are cut off from each other end as ADR 007 says, and no task is answered by a model that its
 * claim does not name. Method: three regions with real brokers, workers and models, whose links are cut; clients at every
 * door all the time, 20 real tasks for each gate. `make acceptance ONLY=rolls` has more of them, and longer ones.
 */
const START_MS = 120_000;
const HEARTBEAT = { MERIDIAN_HEAD_INTERVAL_MS: '200' };
/** Longer than a busy machine keeps heartbeats waiting. How fast the models are is not looked at here. */
const GATE = { leaseMs: 5_000, tasksMin: 20, p95Factor: 1_000 };

let running: RunningSystem | undefined;
let trial: Trial;
let options: CutOptions;
let versions: Record<'one' | 'two' | 'three', ModelVersion>;

beforeAll(async () => {
  running = await startLocalSystem({ auditor: true, environment: HEARTBEAT });
  trial = await Trial.open(running);
  const faces = await installedManifest(running, 'blazeface');
  const [one, two, three] = [
    await addVersion(running, 'beijing', faces, 'one'),
    await addVersion(running, 'shanghai', faces, 'two'),
    await addVersion(running, 'guangzhou', faces, 'three'),
  ];
  versions = { one, two, three };
  await trial.ready(one, two, three);
  await trial.alias(one);
  options = { trial, old: one, ...GATE };
  for (const region of REGIONS) trial.traffic(region).flow();
}, START_MS);

afterEach(async () => {
  expect(await trial.problems()).toEqual([]);
  expect(trial.answered).toBeGreaterThan(100);
});

afterAll(async () => {
  await trial?.close();
  await running?.stop();
}, START_MS);

// Cut off before its wave, and more: `make acceptance ONLY=rolls`.
test('a region that is cut off after its wave goes back by itself once its lease is over, and comes again after the heal', async () => {
  await cutOffAfter(options, versions.three);
}, 90_000);

test('two rolls at once, begun on both sides of a cut: the later one counts everywhere, the other is told', async () => {
  const { two, three } = versions;
  await concurrentRolls(options, { earlier: two, later: three, first: 'beijing' });
}, 90_000);
