import { describe, expect, test } from '@jest/globals';
import { noCounts } from './counters.ts';
import { hunt } from './mutants/hunt.ts';
import { planted } from './mutants/mutant.ts';
import { MUTANTS } from './mutants/mutants.ts';
import { simulate } from './run.ts';
import { simulateStripe } from './stripe.ts';

/** Goal: the properties S1–S29 under faults, judged by causal histories. Method: a sample of what `make sim` runs. */
const RUNS = 200;
const QUICK_SEEDS_MAX = 100;

describe('simulation', () => {
  test(`${RUNS} runs violate nothing, and every kind of fault comes`, () => {
    const { violations, unequal } = simulateStripe({ seed: 1, runs: RUNS, jobs: 1, index: 0 });
    expect(violations).toEqual([]);
    expect(unequal).toEqual([]);
  }, 180_000);

  test('the same seed gives the same trace, another one another', () => {
    const hashes = new Set<string>();
    for (let seed = 50_000; seed < 50_020; seed++) {
      const { hash, counts } = simulate(seed);
      expect(simulate(seed).hash).toBe(hash);
      expect(counts).not.toEqual(noCounts());
      hashes.add(hash);
    }
    expect(hashes.size).toBe(20);
  });
});

describe('planted bugs', () => {
  test.each(MUTANTS)('$name: its place is in the source, once', (mutant) => {
    expect(planted(mutant).source).toContain(mutant.replace);
  });

  test.each(MUTANTS.filter(({ isQuick }) => isQuick))('$name is found', async (mutant) => {
    const { seeds } = await hunt(mutant, 1, QUICK_SEEDS_MAX);
    expect(seeds).toBeLessThanOrEqual(QUICK_SEEDS_MAX);
  });
});
