import { beforeEach, expect, test } from '@jest/globals';
import { VirtualClock } from '@meridian/runtime';
import { ModelProblems, PROBLEM_WORKERS_MAX, PROBLEMS_MAX } from './model-problems.ts';

const LEASE_MS = 30_000;
let clock: VirtualClock;
let problems: ModelProblems;
const report = (digest: string, worker: string, problem: string) => problems.report(digest, worker, problem, LEASE_MS);

beforeEach(() => {
  clock = new VirtualClock();
  problems = new ModelProblems(clock);
});

test('a worker takes back its own word only', () => {
  report('a', 'w1', 'no input x');
  report('a', 'w2', 'no output y');
  report('a', 'w3', '');
  expect([problems.of('a'), problems.of('b')]).toEqual(['no input x', '']);
  report('a', 'w1', '');
  expect(problems.of('a')).toBe('no output y');
  report('a', 'w2', '');
  expect(problems.of('a')).toBe('');
});

test('who is silent for longer than its lease has nothing to say; who goes on saying it has', async () => {
  report('a', 'gone', 'of a worker that is gone');
  await clock.advanceAsync(LEASE_MS / 2);
  report('a', 'alive', 'of one that lives');
  expect(problems.of('a')).toBe('of a worker that is gone');
  await clock.advanceAsync(LEASE_MS / 2);
  expect(problems.of('a')).toBe('of one that lives');
  report('a', 'alive', 'of one that lives');
  await clock.advanceAsync(LEASE_MS - 1);
  expect(problems.of('a')).toBe('of one that lives');
  await clock.advanceAsync(1);
  expect(problems.of('a')).toBe('');
});

test('what may be mended is forgotten until it is said again', () => {
  report('a', 'w1', 'no weights');
  problems.forget('a');
  expect(problems.of('a')).toBe('');
});

test('models, workers and texts are bounded: the oldest goes', () => {
  for (let i = 0; i <= PROBLEMS_MAX; i++) report(`m${i}`, 'w', '长'.repeat(1_000));
  expect(problems.of('m0')).toBe('');
  expect(problems.of('m1')).toHaveLength(512);
  for (let i = 0; i <= PROBLEM_WORKERS_MAX; i++) report('a', `w${i}`, `of ${i}`);
  expect(problems.of('a')).toBe('of 1');
});
