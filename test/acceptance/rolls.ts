import { performance } from 'node:perf_hooks';
import { slowModel, slowModelUnheard, wrongModel } from '../rolls/bad-models.ts';
import {
  type CutOptions,
  concurrentRolls,
  cutOffAfter,
  cutOffAfterAndBack,
  cutOffBefore,
  cutOffBeforeAndBack,
} from '../rolls/cuts.ts';
import { REGIONS, Trial } from '../rolls/trial.ts';
import { addVersion, installedManifest, installedWeights } from '../rolls/versions.ts';
import { startLocalSystem } from '../support/local-system.ts';
import { repeatedGraph } from '../support/repeated-graph.ts';
import type { Scenario } from './scenario.ts';

const LEASE_MS = 15_000;
/** For rolls that are not about speed: all regions share this machine, and some are cut off from each other's workers. */
const P95_FACTOR = 20;
/** Five would do on a machine that has nothing else to do. */
const REPEATS = 8;

/** CenterNet in three regions, clients at every door: bad models, rolls at once, regions that are cut off. */
export const rolls: Scenario = async (say) => {
  const running = await startLocalSystem({ auditor: true });
  const trial = await Trial.open(running);
  try {
    const versions = await versionsOf(trial);
    const { one, two, three, wrong, slow } = versions;
    for (const region of REGIONS) trial.traffic(region).flow();
    for (const region of REGIONS) await trial.more(region, 100);
    const options: CutOptions = { trial, old: one, leaseMs: LEASE_MS, tasksMin: 0, p95Factor: P95_FACTOR };
    const cases: readonly (readonly [string, () => Promise<unknown>])[] = [
      ['a model that answers wrongly', () => wrongModel(trial, one, wrong, LEASE_MS)],
      ['a model that is five times slower', () => slowModel(trial, one, slow, LEASE_MS)],
      ['the same, unheard by a region', () => slowModelUnheard(trial, one, slow, LEASE_MS)],
      ['cut off before its wave', () => cutOffBefore(options, two)],
      ['cut off before its wave, roll taken back', () => cutOffBeforeAndBack(options, two)],
      ['cut off after its wave', () => cutOffAfter(options, three)],
      ['cut off after its wave, roll taken back', () => cutOffAfterAndBack(options, three)],
      [
        'two at once, the majority first',
        () => concurrentRolls(options, { earlier: two, later: three, first: 'beijing' }),
      ],
      [
        'two at once, the minority first',
        () => concurrentRolls(options, { earlier: two, later: three, first: 'guangzhou' }),
      ],
    ];
    for (const [name, run] of cases) await told(say, trial, name, run);
    const problems = await trial.problems();
    for (const problem of problems.slice(0, 10)) say(problem);
    say(`${trial.answered} answers, ${problems.length} of them by a model that their claim does not name`);
    return problems.length === 0;
  } catch (error) {
    say(String(error));
    return false;
  } finally {
    await trial.close();
    await running.stop();
  }
};

async function told(
  say: (text: string) => void,
  trial: Trial,
  name: string,
  run: () => Promise<unknown>,
): Promise<void> {
  const startMs = performance.now();
  const found = await run();
  const seconds = Math.round((performance.now() - startMs) / 1_000);
  const what = typeof found === 'number' ? `: back ${(found / 1_000).toFixed(1)} s after the cut` : '';
  say(`${name}, ${seconds} s${typeof found === 'string' ? `: ${found}` : what}; ${trial.answered} answers so far`);
}

async function versionsOf(trial: Trial) {
  const { running, picture } = trial;
  const detector = await installedManifest(running, 'centernet-320');
  const weights = repeatedGraph(await installedWeights(running, detector), REPEATS);
  const add = (region: string, name: string, variation = {}) => addVersion(running, region, detector, name, variation);
  const golden = (name: string) => ({ golden: { picture, label: `${name}: person` } });
  const [one, two, three] = [
    await add('beijing', 'one', golden('one')),
    await add('shanghai', 'two', golden('two')),
    await add('guangzhou', 'three', golden('three')),
  ];
  const slow = await add('shanghai', 'slow', { weights, ...golden('slow') });
  await trial.ready(one, two, three, slow);
  const wrong = await add('guangzhou', 'wrong', { labelsShifted: 1, ...golden('wrong') });
  trial.versions.push(wrong);
  await trial.alias(one);
  return { one, two, three, slow, wrong };
}
