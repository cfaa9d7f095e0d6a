import { expect, test } from '@jest/globals';
import type { Evidence, RollGate } from '@meridian/replica';
import { hasBaseline, judge } from './gate.ts';

const GATE: RollGate = { tasksMin: 50, errorFactor: 2, errorShareFloor: 0.02, p95Factor: 3.5, skipTasks: false };
const of = (tasks: number, errors: number, p95Ms: number): Evidence => ({ tasks, errors, p95Ms });
const CLEAN = of(100, 0, 10);

test.each<[string, Evidence, Evidence, 'pass' | 'fail' | 'wait']>([
  ['as good as the old one', CLEAN, of(50, 0, 10), 'pass'],
  ['one task too few', CLEAN, of(49, 0, 10), 'wait'],
  ['nothing yet', CLEAN, of(0, 0, 0), 'wait'],
  ['as slow as it may be', CLEAN, of(50, 0, 35), 'pass'],
  ['slower', CLEAN, of(50, 0, 35.1), 'fail'],
  ['five times slower', CLEAN, of(50, 0, 50), 'fail'],
  ['slower, with one task too few', CLEAN, of(49, 0, 50), 'wait'],
  ['errors up to the floor', CLEAN, of(50, 1, 10), 'pass'],
  ['errors beyond the floor', CLEAN, of(50, 2, 10), 'fail'],
  ['more errors than the rest could make up for', CLEAN, of(2, 2, 10), 'fail'],
  ['a first error', CLEAN, of(1, 1, 0), 'wait'],
  ['errors up to the factor', of(100, 10, 10), of(50, 10, 10), 'pass'],
  ['errors beyond the factor', of(100, 10, 10), of(50, 11, 10), 'fail'],
  ['no answers at all before', of(100, 100, 0), of(50, 50, 10), 'pass'],
])('a new model that shows %s', (_, old, now, verdict) => {
  expect(judge(GATE, old, now).kind).toBe(verdict);
  expect(judge({ ...GATE, skipTasks: true }, old, now).kind).toBe('pass');
});

test('the old model must have been seen enough to compare with, unless the gate is skipped', () => {
  expect([hasBaseline(GATE, of(49, 0, 1)), hasBaseline(GATE, of(50, 0, 1))]).toEqual([false, true]);
  expect(hasBaseline({ ...GATE, skipTasks: true }, of(0, 0, 0))).toBe(true);
});
