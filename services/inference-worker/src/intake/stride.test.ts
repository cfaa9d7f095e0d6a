import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Stride } from './stride.ts';

const WEIGHTS = { high: 16, normal: 4, low: 1 } as const;
type Key = keyof typeof WEIGHTS;
const KEYS: readonly Key[] = ['high', 'normal', 'low'];

describe('Stride', () => {
  test('shares turns by weight when all have work', () => {
    const stride = new Stride<Key>(WEIGHTS);
    const turns: Record<Key, number> = { high: 0, normal: 0, low: 0 };
    for (let i = 0; i < 2100; i += 1) turns[stride.choose(() => true) as Key] += 1;
    expect(turns.high).toBeGreaterThanOrEqual(1599);
    expect(turns.normal).toBeGreaterThanOrEqual(399);
    expect(turns.low).toBeGreaterThanOrEqual(99);
  });

  test('chooses nobody when nobody has work, and the only one when one has', () => {
    const stride = new Stride<Key>(WEIGHTS);
    expect(stride.choose(() => false)).toBeUndefined();
    for (let i = 0; i < 50; i += 1) expect(stride.choose((key) => key === 'low')).toBe('low');
  });

  test('a class that was away gets no arrears', () => {
    const stride = new Stride<Key>(WEIGHTS);
    for (let i = 0; i < 1000; i += 1) stride.choose((key) => key === 'low');
    let high = 0;
    for (let i = 0; i < 18; i += 1) high += stride.choose((key) => key !== 'normal') === 'high' ? 1 : 0;
    expect(high).toBeGreaterThanOrEqual(15);
    expect(high).toBeLessThan(18);
  });

  test('invariant 3: who stays a candidate waits at most ⌈w other ÷ w own⌉ + 1 turns of each other, whoever comes and goes', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...KEYS),
        fc.array(fc.subarray([...KEYS]), { minLength: 1, maxLength: 400 }),
        (patient, presence) => {
          const stride = new Stride<Key>(WEIGHTS);
          let since: Record<Key, number> = { high: 0, normal: 0, low: 0 };
          for (const present of presence) {
            const chosen = stride.choose((key) => key === patient || present.includes(key)) as Key;
            if (chosen === patient) since = { high: 0, normal: 0, low: 0 };
            else since[chosen] += 1;
            for (const key of KEYS)
              if (key !== patient)
                expect(since[key]).toBeLessThanOrEqual(Math.ceil(WEIGHTS[key] / WEIGHTS[patient]) + 1);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
