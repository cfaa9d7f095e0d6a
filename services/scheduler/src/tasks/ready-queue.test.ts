import { describe, expect, test } from '@jest/globals';
import type { PriorityClassName } from '@meridian/contracts';
import fc from 'fast-check';
import { type ReadyEntry, ReadyQueue } from './ready-queue.ts';

function entry(taskId: string, priority: PriorityClassName, jobKey = 'job', tenant = 'public'): ReadyEntry {
  return { taskId, priority, jobKey, tenant };
}

function drain(queue: ReadyQueue, count = Number.POSITIVE_INFINITY): string[] {
  const placed: string[] = [];
  const place = ({ taskId }: ReadyEntry) => {
    placed.push(taskId);
    return 'placed' as const;
  };
  while (placed.length < count && queue.placeNext(place));
  return placed;
}

describe('ReadyQueue', () => {
  test('of 21 placements 16 are high, 4 normal, 1 low', () => {
    const queue = new ReadyQueue();
    for (let i = 0; i < 100; i++)
      for (const p of ['low', 'normal', 'high'] as const) queue.add(entry(`${p}${i}`, p), false);
    const placed = drain(queue, 42);
    const count = (p: string) => placed.filter((id) => id.startsWith(p)).length;
    expect([count('high'), count('normal'), count('low')]).toEqual([32, 8, 2]);
  });

  test('20 high tasks that come last are among the next 22 placements', () => {
    const queue = new ReadyQueue();
    for (let i = 0; i < 500; i++) queue.add(entry(`low${i}`, 'low'), false);
    drain(queue, 50);
    for (let i = 0; i < 20; i++) queue.add(entry(`high${i}`, 'high'), false);
    expect(drain(queue, 22).filter((id) => id.startsWith('high'))).toHaveLength(20);
  });

  test('tenants take turns, then jobs; a returning task is first of its job', () => {
    const queue = new ReadyQueue();
    for (let i = 0; i < 3; i++) queue.add(entry(`a${i}`, 'normal', 'a', 't1'), false);
    for (let i = 0; i < 3; i++) queue.add(entry(`b${i}`, 'normal', 'b', 't1'), false);
    for (let i = 0; i < 3; i++) queue.add(entry(`c${i}`, 'normal', 'c', 't2'), false);
    queue.add(entry('a-back', 'normal', 'a', 't1'), true);
    expect(drain(queue)).toEqual(['a-back', 'c0', 'b0', 'c1', 'a0', 'c2', 'b1', 'a1', 'b2', 'a2']);
  });

  test('what is blocked is passed over and keeps its place', () => {
    const queue = new ReadyQueue();
    queue.add(entry('a0', 'high', 'a'), false);
    queue.add(entry('b0', 'low', 'b'), false);
    const placed: string[] = [];
    const place = (blocked: string) => (e: ReadyEntry) => {
      if (e.taskId === blocked) return 'blocked' as const;
      placed.push(e.taskId);
      return 'placed' as const;
    };
    expect(queue.placeNext(place('a0'))).toBe(true);
    expect(queue.placeNext(place('a0'))).toBe(false);
    expect(queue.placeNext(place(''))).toBe(true);
    expect(placed).toEqual(['b0', 'a0']);
  });

  test('everything that is added is offered exactly once, fifo within a job', () => {
    const entries = fc.array(
      fc.record({
        priority: fc.constantFrom<PriorityClassName>('high', 'normal', 'low'),
        jobKey: fc.constantFrom('a', 'b', 'c'),
        tenant: fc.constantFrom('t1', 't2'),
      }),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(entries, fc.nat(60), (given, early) => {
        const queue = new ReadyQueue();
        const all = given.map((e, i) => ({ ...e, taskId: `${i}` }));
        const placed: string[] = [];
        for (const [i, e] of all.entries()) {
          queue.add(e, false);
          if (i === early) placed.push(...drain(queue, 5));
        }
        placed.push(...drain(queue));
        expect([...placed].sort()).toEqual(all.map((e) => e.taskId).sort());
        for (const key of new Set(all.map((e) => `${e.tenant}${e.jobKey}${e.priority}`))) {
          const ids = placed.filter((id) => {
            const e = all[Number(id)];
            return e !== undefined && `${e.tenant}${e.jobKey}${e.priority}` === key;
          });
          expect(ids).toEqual([...ids].sort((a, b) => Number(a) - Number(b)));
        }
      }),
    );
  });
});
