import { describe, expect, test } from '@jest/globals';
import { Failure } from '@meridian/failure';
import fc from 'fast-check';
import { systemClock, VirtualClock } from './clock.ts';

describe('VirtualClock', () => {
  test('timers run in order of due time, then of creation, and see the time at which they were due', () => {
    const delays = fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 30 });
    fc.assert(
      fc.property(delays, fc.integer({ min: 0, max: 60 }), (delaysMs, advanceMs) => {
        const clock = new VirtualClock(1_000);
        const ran: [number, number, number][] = [];
        for (const [i, ms] of delaysMs.entries())
          clock.setTimer(ms, () => ran.push([clock.nowMs(), clock.monotonicMs(), i]));
        clock.advance(advanceMs);
        const due = delaysMs.map((ms, i) => [1_000 + ms, ms, i] as const).filter(([, ms]) => ms <= advanceMs);
        expect(ran).toEqual(due.sort((a, b) => a[1] - b[1] || a[2] - b[2]));
        expect(clock.monotonicMs()).toBe(advanceMs);
        expect(clock.pendingTimers).toBe(delaysMs.length - due.length);
      }),
    );
  });

  test('a timer set by a timer runs in the same advance when it is due', () => {
    const clock = new VirtualClock();
    const ran: number[] = [];
    clock.setTimer(10, () => clock.setTimer(5, () => ran.push(clock.monotonicMs())));
    clock.advance(14);
    expect(ran).toEqual([]);
    clock.advance(1);
    expect(ran).toEqual([15]);
  });

  test('a cancelled timer never runs, and chained sleeps all pass', async () => {
    const clock = new VirtualClock();
    let passed = 0;
    clock
      .setTimer(1, () => {
        throw new Error('cancelled timer ran');
      })
      .cancel();
    void (async () => {
      for (; passed < 3; passed++) await clock.sleep(100);
    })();
    await clock.advanceAsync(299);
    expect(passed).toBe(2);
    await clock.advanceAsync(1);
    expect(passed).toBe(3);
  });

  test('setting the wall moves neither monotonic time nor timers', () => {
    const clock = new VirtualClock(1_000);
    let ran = false;
    clock.setTimer(10, () => {
      ran = true;
    });
    clock.setWallMs(999_999);
    expect(clock.monotonicMs()).toBe(0);
    expect(ran).toBe(false);
    clock.advance(10);
    expect(ran).toBe(true);
    expect(clock.nowMs()).toBe(1_000_009);
  });
});

describe.each([
  ['virtual', () => new VirtualClock()],
  ['system', () => systemClock],
])('sleep on the %s clock', (_, make) => {
  test('ends with CANCELLED when aborted before or during, and leaves no timer', async () => {
    const clock = make();
    await expect(clock.sleep(1e6, AbortSignal.abort())).rejects.toMatchObject({ code: 'CANCELLED' });
    const controller = new AbortController();
    const sleep = clock.sleep(1e6, controller.signal);
    controller.abort();
    await expect(sleep).rejects.toBeInstanceOf(Failure);
    if (clock instanceof VirtualClock) expect(clock.pendingTimers).toBe(0);
  });

  test("keeps the signal's own Failure", async () => {
    const own = new Failure('DEADLINE_EXCEEDED', 'too late');
    await expect(make().sleep(1e6, AbortSignal.abort(own))).rejects.toBe(own);
  });
});
