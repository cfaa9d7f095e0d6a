import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DelayLine, type Parcel } from './delay-line.ts';

/** Time moves when told; due timers fire in order. */
class ManualClock {
  #nowMs = 0;
  readonly #timers = new Set<{ atMs: number; fire: () => void }>();
  timersSet = 0;
  monotonicMs(): number {
    return this.#nowMs;
  }
  get running(): number {
    return this.#timers.size;
  }
  setTimer(delayMs: number, fire: () => void) {
    const timer = { atMs: this.#nowMs + delayMs, fire };
    this.#timers.add(timer);
    this.timersSet++;
    return { cancel: () => void this.#timers.delete(timer) };
  }
  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (;;) {
      const next = [...this.#timers].sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.fire();
    }
    this.#nowMs = endMs;
  }
}

function line(clock: ManualClock) {
  const arrived: { parcel: Parcel; atMs: number }[] = [];
  let ready = true;
  const delayLine = new DelayLine(clock, (parcels) => {
    for (const parcel of parcels) arrived.push({ parcel, atMs: clock.monotonicMs() });
    return ready;
  });
  return { delayLine, arrived, setReady: (value: boolean) => (ready = value) };
}

describe('DelayLine', () => {
  test('order is kept, nothing is early, one timer runs, whatever the due times and holds', () => {
    const step = fc.record({
      pushes: fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 5 }),
      advanceMs: fc.integer({ min: 0, max: 40 }),
      hold: fc.constantFrom('hold', 'release', 'none'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const clock = new ManualClock();
        const { delayLine, arrived } = line(clock);
        const dueMs: number[] = [];
        for (const { pushes, advanceMs, hold } of steps) {
          if (hold === 'hold') delayLine.hold();
          if (hold === 'release') delayLine.release(clock.monotonicMs());
          for (const delayMs of pushes) {
            delayLine.push(Buffer.from([dueMs.length % 256]), clock.monotonicMs() + delayMs);
            dueMs.push(clock.monotonicMs() + delayMs);
          }
          expect(clock.running).toBeLessThanOrEqual(1);
          clock.advance(advanceMs);
        }
        delayLine.release(clock.monotonicMs());
        clock.advance(1000);
        expect(arrived.map(({ parcel }) => (parcel as Buffer)[0])).toEqual(dueMs.map((_, i) => i % 256));
        for (const [i, { atMs }] of arrived.entries()) expect(atMs).toBeGreaterThanOrEqual((dueMs[i] ?? 0) - 0.5);
        expect([delayLine.bytes, clock.running]).toEqual([0, 0]);
      }),
    );
  });

  test('parcels due together leave together, with one timer', () => {
    const clock = new ManualClock();
    const { delayLine, arrived } = line(clock);
    for (let i = 0; i < 1000; i++) delayLine.push(Buffer.from('x'), 25 + i / 10_000);
    clock.advance(30);
    expect(arrived).toHaveLength(1000);
    expect(clock.timersSet).toBeLessThanOrEqual(2);
  });

  test('a blocked receiver stops it, unblocking goes on at once', () => {
    const clock = new ManualClock();
    const { delayLine, arrived, setReady } = line(clock);
    setReady(false);
    delayLine.push(Buffer.from('a'), 10);
    delayLine.push('end', 20);
    clock.advance(100);
    expect(arrived.map(({ parcel }) => parcel.toString())).toEqual(['a']);
    expect(clock.running).toBe(0);
    setReady(true);
    delayLine.unblock();
    expect(arrived.map(({ parcel }) => parcel.toString())).toEqual(['a', 'end']);
  });

  test('what was held leaves no earlier than it is sent again', () => {
    const clock = new ManualClock();
    const { delayLine, arrived } = line(clock);
    delayLine.push(Buffer.from('a'), 10);
    delayLine.hold();
    clock.advance(100);
    delayLine.push(Buffer.from('b'), 500);
    delayLine.release(125);
    clock.advance(1000);
    expect(arrived.map(({ atMs }) => atMs)).toEqual([125, 500]);
  });
});
