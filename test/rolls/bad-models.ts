import assert from 'node:assert/strict';
import { RollPhase, RollState } from '@meridian/contracts/roll';
import type { ModelVersion } from './answers.ts';
import { REGIONS, type Region, type RollOrder, type Trial } from './trial.ts';

const WAVES: RollOrder['waves'] = [['beijing'], ['shanghai'], ['guangzhou']];
/** The defaults. */
const ORDER = { waves: WAVES, tasksMin: 0, p95Factor: 0 };
const GATE_TASKS = 50;
/** Answers that show what a door goes on with. */
const SOME = 20;

/** A model that loads but fails its golden picture: the roll goes back before any task meets it. */
export async function wrongModel(trial: Trial, old: ModelVersion, to: ModelVersion, leaseMs: number): Promise<string> {
  const marks = marksOf(trial);
  await trial.begin('beijing', { ...ORDER, to, leaseMs });
  await trial.everywhere(({ state }) => state === RollState.FAILED, 'the roll has failed');
  const { phase } = await trial.rowOf('beijing');
  assert.match(phase?.reason ?? '', /golden picture golden\.jpg: expected/);
  for (const region of REGIONS) await trial.more(region, SOME);
  for (const [region, mark] of marks) assert.deepEqual(trial.turns(region, mark), [old.name]);
  return phase?.reason ?? '';
}

/**
 * A model that is too slow: the first wave that shows it by real tasks takes all back. On a busy machine, whose p95 says
 * less of the model, that need not be the very first.
 */
export async function slowModel(trial: Trial, old: ModelVersion, to: ModelVersion, leaseMs: number): Promise<string> {
  const marks = marksOf(trial);
  await trial.begin('beijing', { ...ORDER, to, leaseMs });
  await trial.everywhere(({ state }) => state === RollState.FAILED, 'the roll has failed');
  return judgeSlow(trial, old, to, marks);
}

/** The same while the last region is cut off: it hears of roll and failure at once, and never uses the model. */
export async function slowModelUnheard(
  trial: Trial,
  old: ModelVersion,
  to: ModelVersion,
  leaseMs: number,
): Promise<string> {
  const marks = marksOf(trial);
  trial.cutOff('guangzhou');
  const rollId = await trial.begin('beijing', { ...ORDER, to, leaseMs });
  await trial.holds('beijing', ({ state }) => state === RollState.FAILED, 'the roll has failed');
  assert.notEqual((await trial.view('guangzhou')).record?.rollId, rollId, 'guangzhou has heard of the roll');
  trial.heal();
  await trial.everywhere(({ state, record }) => record?.rollId === rollId && state === RollState.FAILED, 'it failed');
  return judgeSlow(trial, old, to, marks);
}

async function judgeSlow(trial: Trial, old: ModelVersion, to: ModelVersion, marks: Marks): Promise<string> {
  const { regions } = await trial.view('beijing');
  const failed = regions.filter(({ phase }) => phase?.phase === RollPhase.FAILED);
  const [{ phase } = {}] = failed;
  assert.equal(failed.length, 1, 'one region fails, and the others go back');
  assert.match(phase?.reason ?? '', /^95 % of \d+ inferences took up to/);
  assert.ok((phase?.new?.tasks ?? 0) >= GATE_TASKS && (phase?.old?.tasks ?? 0) >= GATE_TASKS);
  const last = WAVES.flat().indexOf(failed[0]?.region as Region);
  for (const region of REGIONS) await trial.more(region, SOME);
  for (const [region, mark] of marks) {
    const wasOnTrial = WAVES.flat().indexOf(region) <= last;
    assert.deepEqual(trial.turns(region, mark), wasOnTrial ? [old.name, to.name, old.name] : [old.name], region);
  }
  return `${failed[0]?.region}: ${phase?.reason}`;
}

type Marks = readonly (readonly [Region, number])[];

function marksOf(trial: Trial): Marks {
  return REGIONS.map((region) => [region, trial.mark(region)] as const);
}
