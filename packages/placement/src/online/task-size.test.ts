import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { TaskSizes } from './task-size.ts';

test('a task of which nothing is known is usual', () => {
  const sizes = new TaskSizes();
  sizes.placed('a', 1);
  expect(sizes.of('a', 1)).toBe(1);
  sizes.learn('a', 1, 30);
  expect(sizes.of('a', 1)).toBe(1);
  sizes.placed('a', 1);
  expect(sizes.of('b', 1)).toBe(1);
});

test('of two models, sizes are as what they take, and one is the mean over the placements', () => {
  const sizes = new TaskSizes();
  for (let at = 0; at < 2_000; at++) {
    sizes.learn('short', 1, 10);
    sizes.learn('long', 1, 30);
    sizes.placed('short', 1);
    sizes.placed('long', 1);
  }
  expect(sizes.of('short', 1)).toBeCloseTo(0.5, 2);
  expect(sizes.of('long', 1)).toBeCloseTo(1.5, 2);
});

test('is the same in a world of one size, and in any world between 0 and 3', () => {
  const task = fc.tuple(fc.constantFrom('a', 'b'), fc.nat(1_000), fc.nat(100_000));
  fc.assert(
    fc.property(fc.array(task, { maxLength: 100 }), (tasks) => {
      const sizes = new TaskSizes();
      const alike = new TaskSizes();
      for (const [model, size, tookMs] of tasks) {
        sizes.learn(model, size, tookMs);
        sizes.placed(model, size);
        alike.learn(model, 7, 50);
        alike.placed(model, 7);
        expect(sizes.of(model, size)).toBeGreaterThanOrEqual(0);
        expect(sizes.of(model, size)).toBeLessThanOrEqual(3);
        expect(alike.of(model, 7)).toBe(1);
      }
    }),
  );
});

test('forgets the model that came first when there are too many', () => {
  const sizes = new TaskSizes();
  for (let at = 0; at < 65; at++) sizes.learn(`m${at}`, 1, at === 0 || at === 64 ? 60 : 30);
  sizes.placed('m1', 1);
  expect(sizes.of('m64', 1)).toBe(2);
  expect(sizes.of('m0', 1)).toBe(1);
});
