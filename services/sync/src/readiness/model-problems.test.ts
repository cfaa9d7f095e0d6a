import { expect, test } from '@jest/globals';
import { ModelProblems, PROBLEMS_MAX } from './model-problems.ts';

test('the last problem of a model is known until it is ready; old and long ones are cut', () => {
  const problems = new ModelProblems();
  problems.report('a', 'no input x');
  problems.report('a', 'no output y');
  expect([problems.of('a'), problems.of('b')]).toEqual(['no output y', '']);
  problems.report('a', '');
  expect(problems.of('a')).toBe('');
  for (let i = 0; i <= PROBLEMS_MAX; i++) problems.report(`m${i}`, '长'.repeat(1_000));
  expect(problems.of('m0')).toBe('');
  expect(problems.of('m1')).toHaveLength(512);
});
