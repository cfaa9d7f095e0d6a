import { expect, test } from '@jest/globals';
import { aTask, aWork, GOOD, MODEL } from '../tasks/task.builders.ts';
import { type Ending, NO_TIMES } from '../tasks/task.ts';
import { ServiceVariations } from './service-variation.ts';

const ending = (inferenceMs: number, more: Partial<Ending> = {}): Ending => ({
  ...{ how: 'committed', outcome: GOOD, fence: 1, region: 'shanghai', worker: 'w' },
  times: { ...NO_TIMES, inferenceMs },
  ...more,
});
const task = aTask(aWork());

test('nothing before enough were seen; equal times do not vary; two that are three apart do', () => {
  const variations = new ServiceVariations();
  for (let n = 0; n < 19; n++) variations.ended(task, ending(40));
  expect(variations.of('shanghai', MODEL)).toBeUndefined();
  variations.ended(task, ending(40));
  expect(variations.of('shanghai', MODEL)?.variation).toBeCloseTo(0, 9);
  expect(variations.of('beijing', MODEL)).toBeUndefined();
  // 20 and 60: mean 40, deviation 20.
  for (let n = 0; n < 400; n++) variations.ended(task, ending(n % 2 === 0 ? 20 : 60));
  expect(variations.of('shanghai', MODEL)?.variation).toBeCloseTo(0.25, 1);
});

test('what failed, or took no time, says nothing', () => {
  const variations = new ServiceVariations();
  for (let n = 0; n < 50; n++) {
    variations.ended(task, ending(40, { how: 'failed' }));
    variations.ended(task, ending(0));
  }
  expect(variations.of('shanghai', MODEL)).toBeUndefined();
});
