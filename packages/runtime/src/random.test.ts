import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { backoffMs } from './backoff.ts';
import { seededRandom, systemRandom } from './random.ts';

describe('seededRandom', () => {
  test('the same seed gives the same sequence, another seed another', () => {
    const draw = (seed: number) => {
      const random = seededRandom(seed);
      return [random.next(), random.int(1_000), random.bigint64()];
    };
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (a, b) => {
        expect(draw(a)).toEqual(draw(a));
        if (a !== b) expect(draw(a)).not.toEqual(draw(b));
      }),
    );
  });

  test('is uniform within 3 % over 16 buckets, with a fixed seed', () => {
    const random = seededRandom(7);
    const buckets = Array.from({ length: 16 }, () => 0);
    for (let i = 0; i < 160_000; i++) {
      const bucket = random.int(16);
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    }
    for (const count of buckets) expect(Math.abs(count / 10_000 - 1)).toBeLessThan(0.03);
  });
});

test.each([
  ['seeded', seededRandom(1)],
  ['system', systemRandom],
])('%s random values are in range', (_, random) => {
  for (let i = 0; i < 1_000; i++) {
    expect(random.next()).toBeLessThan(1);
    expect([0, 1, 2]).toContain(random.int(3));
    const wide = random.bigint64();
    expect(wide >= 0n && wide < 2n ** 64n).toBe(true);
  }
  expect(() => random.int(0)).toThrow(/invariant/);
});

describe('backoffMs', () => {
  const options = fc.record({
    initialMs: fc.integer({ min: 1, max: 1_000 }),
    maxMs: fc.integer({ min: 1, max: 100_000 }),
    jitter: fc.double({ min: 0, max: 1, noNaN: true }),
  });

  test('lies between the ceiling less the jitter and the ceiling, for any attempt', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10_000 }), options, fc.nat(), (attempt, bounds, seed) => {
        const delayMs = backoffMs(attempt, bounds, seededRandom(seed));
        const ceilingMs = Math.min(bounds.maxMs, bounds.initialMs * 2 ** Math.min(attempt, 30));
        expect(delayMs).toBeLessThanOrEqual(ceilingMs);
        expect(delayMs).toBeGreaterThanOrEqual(ceilingMs * (1 - bounds.jitter) - 1e-9);
      }),
    );
  });

  test('without jitter it doubles up to the maximum', () => {
    const bounds = { initialMs: 100, maxMs: 1_000, jitter: 0 };
    expect([0, 1, 2, 3, 4, 5].map((n) => backoffMs(n, bounds, systemRandom))).toEqual([
      100, 200, 400, 800, 1_000, 1_000,
    ]);
  });
});
