import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compareTimestamps, formatTimestamp, HybridLogicalClock, parseTimestamp } from './hybrid-logical-clock.ts';

const wall = fc.integer({ min: 0, max: 1_000_000 });

describe('hybrid logical clock', () => {
  test('strictly monotone under any sequence of wall clock jumps, receives and restarts', () => {
    const step = fc.record({
      nowMs: wall,
      remote: fc.option(fc.tuple(wall, fc.integer({ min: 0, max: 65535 }))),
      restart: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
        let nowMs = 0;
        const start = (last = { wallMs: 0, logical: 0 }) =>
          new HybridLogicalClock(() => nowMs, { driftMaxMs: 500, last });
        let clock = start();
        let last = clock.last;
        for (const { nowMs: now, remote, restart } of steps) {
          nowMs = now;
          if (restart) clock = start(last);
          const next = remote ? clock.receive({ wallMs: remote[0], logical: remote[1] }) : clock.tick();
          if (next === 'far-future') {
            expect(clock.last).toEqual(last);
            continue;
          }
          expect(compareTimestamps(next, last)).toBeGreaterThan(0);
          if (remote) expect(compareTimestamps(next, { wallMs: remote[0], logical: remote[1] })).toBeGreaterThan(0);
          last = next;
        }
      }),
    );
  });

  test('a far-future remote time is refused and moves nothing', () => {
    const clock = new HybridLogicalClock(() => 1000, { driftMaxMs: 500 });
    const before = clock.tick();
    expect(clock.receive({ wallMs: 1501, logical: 0 })).toBe('far-future');
    expect(clock.last).toEqual(before);
    expect(clock.receive({ wallMs: 1500, logical: 3 })).toEqual({ wallMs: 1500, logical: 4 });
  });

  test('the logical part overflows into the wall part', () => {
    const clock = new HybridLogicalClock(() => 5, { driftMaxMs: 500, last: { wallMs: 7, logical: 65535 } });
    expect(clock.tick()).toEqual({ wallMs: 8, logical: 0 });
  });

  test('text order is time order', () => {
    const time = fc.record({
      wallMs: fc.integer({ min: 0, max: 2 ** 47 }),
      logical: fc.integer({ min: 0, max: 65535 }),
    });
    fc.assert(
      fc.property(time, time, (a, b) => {
        const [x, y] = [formatTimestamp(a), formatTimestamp(b)];
        expect(parseTimestamp(x)).toEqual(a);
        expect(Math.sign(compareTimestamps(a, b))).toBe(x < y ? -1 : x > y ? 1 : 0);
      }),
    );
  });
});
