import { expect, test } from '@jest/globals';
import { territoryOf } from '@meridian/residency';
import { aTask, aWork, DOORS, REGIONS, regionViews } from '../tasks/task.builders.ts';
import { choose } from './choose.ts';
import { Decision } from './decision.ts';
import { DecisionLog } from './decision-log.ts';
import { PlacementWindow } from './window.ts';

const territory = territoryOf([], DOORS);
const limits = { readyRegions: new Set(REGIONS), isRemoved: () => false, window: new PlacementWindow(8), territory };

test('keeps each attempt as it was decided, oldest first, until newer decisions need the room', () => {
  const views = regionViews();
  const decision = new Decision(views.values());
  const log = new DecisionLog([...REGIONS], 3);
  const decide = (index: number, attempt: number, price: number) => {
    views.get('beijing')?.reported({ outstanding: 0, capacity: 1, price, workers: 1 }, attempt);
    const task = aTask(aWork(), index);
    choose(task, decision, limits);
    log.add(task, decision, { attempt, fence: attempt }, attempt);
  };
  decide(0, 1, 10);
  decide(1, 1, 0);
  decide(0, 2, 90);
  const told = log.of('beijing-job/0');
  expect(told.map(({ attempt, winner }) => [attempt, winner])).toEqual([
    [1, 'beijing'],
    [2, 'shanghai'],
  ]);
  expect(told.map(({ candidates }) => candidates[0]?.priceMs)).toEqual([10, 90]);
  decide(2, 1, 0);
  expect(log.of('beijing-job/0').map(({ attempt }) => attempt)).toEqual([2]);
  expect(log.of('unknown')).toEqual([]);
});

test('many regions take no more memory, they shorten what is kept', () => {
  const names = (count: number) => Array.from({ length: count }, (_, i) => `r${i}`);
  expect(new DecisionLog(names(3)).capacity).toBe(16_384);
  expect(new DecisionLog(names(200)).capacity).toBeLessThan(2_000);
});
