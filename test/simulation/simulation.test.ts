import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { hunt } from './mutants/hunt.ts';
import { planted } from './mutants/mutant.ts';
import { MUTANTS } from './mutants/mutants.ts';

/** Goal: the properties S1–S29 under faults, judged by causal histories. Method: a sample of `make sim`, in its own processes. */
const MAIN = path.join(import.meta.dirname, 'main.ts');
const QUICK_SEEDS_MAX = 100;

interface Ended {
  readonly code: number;
  readonly lines: readonly string[];
}

async function sim(environment: Readonly<Record<string, string>>): Promise<Ended> {
  const args = ['--disable-warning=ExperimentalWarning', MAIN];
  const env = { ...process.env, NODE_OPTIONS: '', VERBOSE: '', ...environment };
  try {
    const { stdout } = await promisify(execFile)(process.execPath, args, { env, maxBuffer: 64 * 1024 * 1024 });
    return { code: 0, lines: stdout.trim().split('\n') };
  } catch (error) {
    const { code = -1, stdout = '' } = error as { code?: number; stdout?: string };
    return { code, lines: stdout.trim().split('\n') };
  }
}

describe('simulation', () => {
  test('500 runs violate nothing, every kind of fault comes, and runs that are repeated give the same trace', async () => {
    const { code, lines } = await sim({ SEED: '1', RUNS: '500', JOBS: '2' });
    expect(lines.filter((line) => /^(?:seed|never)/.test(line))).toEqual([]);
    expect(lines.at(-1)).toMatch(/^sim: 500 runs, 0 violations, hash [0-9a-f]{16}$/);
    expect(code).toBe(0);
  }, 180_000);

  test('the same seeds give the same hash, in however many processes; other seeds give another', async () => {
    const [once, again, others] = await Promise.all([
      sim({ SEED: '50000', RUNS: '20', JOBS: '1' }),
      sim({ SEED: '50000', RUNS: '20', JOBS: '3' }),
      sim({ SEED: '60000', RUNS: '20', JOBS: '1' }),
    ]);
    expect(again.lines.at(-1)).toBe(once.lines.at(-1));
    expect(others.lines.at(-1)).not.toBe(once.lines.at(-1));
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
