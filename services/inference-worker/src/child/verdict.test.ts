import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type ChildEnd, verdict } from './verdict.ts';

const task = (runs = 1) => ({ runs });

describe('verdict', () => {
  test('a hang is the fault of the oldest; the others run again as if nothing had been', () => {
    const [a, b, c] = [task(), task(), task()];
    const { guilty, again, suspects } = verdict('hung', [a, b, c]);
    expect(guilty.map((g) => [g.task, g.failure.reason])).toEqual([[a, 'PICTURE_HUNG_WORKER']]);
    expect(again).toEqual([b, c]);
    expect(suspects.size).toBe(0);
  });

  test('a crash with one picture is its fault', () => {
    const a = task();
    expect(verdict('crashed', [a]).guilty[0]?.failure).toMatchObject({
      code: 'INTERNAL',
      reason: 'PICTURE_CRASHED_WORKER',
      retryable: true,
    });
  });

  test('a crash with several makes each a suspect, and blames none', () => {
    const tasks = [task(), task()];
    const { guilty, again, suspects } = verdict('crashed', tasks);
    expect(guilty).toEqual([]);
    expect(again).toEqual(tasks);
    expect([...suspects]).toEqual(tasks);
  });

  test('every picture is either guilty or runs again, and each ends after a bounded number of runs', () => {
    const end = fc.constantFrom<ChildEnd>('hung', 'crashed', 'silent');
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 4 }), end, (runs, how) => {
        const tasks = runs.map(task);
        const { guilty, again, suspects } = verdict(how, tasks);
        expect(new Set([...guilty.map((g) => g.task), ...again])).toEqual(new Set(tasks));
        expect(guilty.length + again.length).toBe(tasks.length);
        for (const suspect of suspects) expect(again).toContain(suspect);
        for (const { runs: n } of again) expect(n).toBeLessThan(5);
      }),
    );
  });
});
