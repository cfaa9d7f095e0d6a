import { describe, expect, test } from '@jest/globals';
import { seededRandom } from '@meridian/runtime';
import fc from 'fast-check';
import { ServiceModel } from './service-model.ts';

const learnt = (seen: readonly (readonly [number, number])[]) => {
  const model = new ServiceModel();
  for (const [size, tookMs] of seen) model.observe(size, tookMs);
  return model;
};

describe('the service time of a model', () => {
  test('is not known before anything was seen, then what was seen', () => {
    expect(learnt([]).expectedMs(1)).toBeUndefined();
    expect(learnt([[1, 30]]).expectedMs(5)).toBe(30);
  });

  test('finds the line under the noise, whatever line it is', () => {
    const line = fc.tuple(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 0, max: 50 }), fc.nat());
    fc.assert(
      fc.property(line, ([a, b, seed]) => {
        const random = seededRandom(seed);
        const took = (size: number) => (a + b * size) * (0.8 + 0.4 * random.next());
        const sizes = Array.from({ length: 2_000 }, () => 0.1 + 4 * random.next());
        const model = learnt(sizes.map((size) => [size, took(size)]));
        for (const size of [0.5, 2, 4])
          expect(Math.abs((model.expectedMs(size) ?? 0) / (a + b * size) - 1)).toBeLessThan(0.1);
      }),
    );
  });

  test('never expects less than nothing, nor less of a larger picture, nor more than eight times the mean', () => {
    const seen = fc.array(fc.tuple(fc.double({ min: 0, max: 1e6, noNaN: true }), fc.nat(100_000)), { minLength: 1 });
    fc.assert(
      fc.property(seen, fc.double({ min: 0, max: 1e9, noNaN: true }), (tasks, size) => {
        const model = learnt(tasks);
        const expectedMs = model.expectedMs(size) ?? Number.NaN;
        expect(expectedMs).toBeGreaterThanOrEqual(0);
        expect(model.expectedMs(2 * size) ?? 0).toBeGreaterThanOrEqual(expectedMs);
        expect(expectedMs).toBeLessThanOrEqual(8 * Math.max(...tasks.map(([, tookMs]) => tookMs)) + 1e-6);
      }),
    );
  });

  test('one worker that slept for a minute changes little, and nonsense nothing', () => {
    const usual = Array.from({ length: 500 }, (_, at) => [1 + (at % 4), 20 + 10 * (at % 4)] as const);
    const model = learnt([...usual, [2, 60_000]]);
    expect(Math.abs((model.expectedMs(1) ?? 0) - 20)).toBeLessThan(2);
    const before = model.expectedMs(3);
    for (const [size, tookMs] of [
      [-1, 5],
      [1, Number.NaN],
      [1, -5],
      [Number.POSITIVE_INFINITY, 1],
    ] as const)
      model.observe(size, tookMs);
    expect(model.expectedMs(3)).toBe(before);
  });

  test('follows when the same pictures come to take twice as long', () => {
    const line = (factor: number) =>
      Array.from({ length: 5_000 }, (_, at) => [1 + (at % 4), factor * (1 + (at % 4))] as const);
    expect(learnt([...line(10), ...line(20)]).expectedMs(3)).toBeCloseTo(60, 0);
  });
});
