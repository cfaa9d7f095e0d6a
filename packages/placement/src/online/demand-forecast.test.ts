import { describe, expect, test } from '@jest/globals';
import { seededRandom } from '@meridian/runtime';
import fc from 'fast-check';
import { DemandForecast } from './demand-forecast.ts';

/** Mean squared error of what was expected of each interval, ÷ that of "same as before"; the first 50 are not counted. */
function overSame(counts: readonly number[], rates: readonly number[] = counts): number {
  const forecast = new DemandForecast();
  let [error, same] = [0, 0];
  for (const [at, count] of counts.entries()) {
    const rate = rates[at] ?? 0;
    if (at >= 50) {
      error += (forecast.next - rate) ** 2;
      same += ((counts[at - 1] ?? 0) - rate) ** 2;
    }
    forecast.observe(count);
  }
  return error / same;
}

describe('a forecast of demand', () => {
  test('is nothing before anything was counted, and the first count after it', () => {
    const forecast = new DemandForecast();
    expect(forecast.next).toBe(0);
    forecast.observe(7);
    expect(forecast.next).toBe(7);
  });

  test('is finite and never negative, and ignores what is no count', () => {
    const count = fc.oneof(fc.double(), fc.double({ min: 0, max: 1e9, noNaN: true }));
    fc.assert(
      fc.property(fc.array(count, { maxLength: 60 }), (counts) => {
        const forecast = new DemandForecast();
        for (const each of counts) forecast.observe(each);
        expect(forecast.next).toBeGreaterThanOrEqual(0);
        expect(Number.isFinite(forecast.next)).toBe(true);
        const before = forecast.next;
        for (const wrong of [Number.NaN, -1, Number.POSITIVE_INFINITY]) forecast.observe(wrong);
        expect(forecast.next).toBe(before);
      }),
    );
  });

  test('of what never changes is that, to the last bit', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), fc.nat(40), (rate, times) => {
        const forecast = new DemandForecast();
        for (let at = 0; at <= times; at++) forecast.observe(rate);
        expect(forecast.next).toBe(rate);
      }),
    );
  });

  test('follows a steep wave sooner than "same as now"', () => {
    const wave = Array.from({ length: 400 }, (_, at) => 100 + 80 * Math.sin((2 * Math.PI * at) / 40));
    expect(overSame(wave)).toBeLessThan(0.6);
  });

  test('is not misled by chance where nothing changes', () => {
    const random = seededRandom(5);
    const rates = Array.from({ length: 1_000 }, () => 100);
    expect(
      overSame(
        rates.map((rate) => rate + 20 * (random.next() - 0.5)),
        rates,
      ),
    ).toBeLessThan(0.25);
  });

  test('after a jump is as good as "same as now" within five intervals', () => {
    const forecast = new DemandForecast();
    for (let at = 0; at < 200; at++) forecast.observe(100 + (at % 2));
    for (let at = 0; at < 5; at++) forecast.observe(300);
    expect(Math.abs(forecast.next - 300)).toBeLessThan(15);
  });
});
