import { expect, test } from '@jest/globals';
import { Failure } from '@meridian/failure';
import { DIGESTS_MAX, ReadyWorkers } from './ready-workers.ts';

test('the last worker that leaves takes the readiness with it; one that was never ready takes nothing', () => {
  const workers = new ReadyWorkers([], 0);
  for (const name of ['w1', 'w2']) expect(workers.ready('d', name, 100)).toBe('ready');
  expect(workers.unready('d', 'w3')).toBe('unchanged');
  expect(workers.unready('d', 'w1')).toBe('unchanged');
  expect(workers.isSaid('d')).toBe(true);
  expect(workers.unready('d', 'w2')).toBe('unready-later');
  expect(workers.isReady('d')).toBe(false);
});

test('who does not repeat its word in time is gone', () => {
  const workers = new ReadyWorkers([], 0);
  workers.ready('d', 'gone', 100);
  workers.ready('d', 'alive', 100);
  workers.ready('d', 'alive', 200);
  expect(workers.expire(150)).toEqual([]);
  expect(workers.isReady('d')).toBe(true);
  expect(workers.expire(200)).toEqual(['d']);
  expect([workers.isReady('d'), workers.expire(1_000)]).toEqual([false, []]);
});

test('workers of an earlier life count until their time is over, and nobody has heard them say it', () => {
  const workers = new ReadyWorkers(['d', 'e'], 60);
  workers.ready('d', 'w1', 1_000);
  expect(workers.unready('d', 'w1')).toBe('unchanged');
  expect([workers.isReady('d'), workers.isSaid('d')]).toEqual([true, false]);
  workers.ready('e', 'w1', 1_000);
  expect(workers.expire(60)).toEqual(['d']);
  expect(workers.isSaid('e')).toBe(true);
});

test('models are bounded', () => {
  const workers = new ReadyWorkers([], 0);
  for (let i = 0; i < DIGESTS_MAX; i++) workers.ready(`d${i}`, 'w', 1);
  expect(() => workers.ready('more', 'w', 1)).toThrow(Failure);
  expect(workers.ready('d0', 'other', 1)).toBe('ready');
});
