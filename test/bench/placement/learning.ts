import { compare, MEASURED_SCENARIOS, POLICIES, type ScenarioName, scenario } from '@meridian/placement';
import type { Row } from '../report.ts';

const FIRST_SEED = 101;
const SEEDS = Number(process.env.LEARNING_SEEDS ?? '3');
const ONLY_SCENARIO = process.env.SCENARIO ?? '';

/** Part of the service time that a picture's size explains: of large JPEG photographs, and of WebP and PNG (docs/simulation.md). */
const SIZE_PARTS = { jpeg: 0.2, lossless: 0.5 } as const;

/**
 * What is learnt online, against what would be done without: prices by the size of the task against the same price for all,
 * and the demand of the next interval by forecast against the same as now.
 */
export function learningRows(): Row[] {
  if (SEEDS === 0) return [];
  return MEASURED_SCENARIOS.filter((name) => ONLY_SCENARIO === '' || ONLY_SCENARIO === name).flatMap((name) => [
    ...Object.entries(SIZE_PARTS).map(([kind, part]) =>
      ratioRow(`${name}_sized_${kind}_over_unsized_mean_ratio`, name, part, 'meridian', 'meridian-unsized'),
    ),
    ratioRow(`${name}_forecast_over_now_mean_ratio`, name, 0, 'split-10s-forecast', 'split-10s'),
  ]);
}

function ratioRow(metric: string, name: ScenarioName, sizePart: number, learns: string, other: string): Row {
  const day = { ...scenario(name), sizePart };
  const policies = POLICIES.filter((policy) => policy.name === learns || policy.name === other);
  const sums = { [learns]: { meanMs: 0, p99Ms: 0 }, [other]: { meanMs: 0, p99Ms: 0 } };
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++)
    for (const { policy, meanMs, p99Ms } of compare(day, policies, seed).results) {
      const sum = sums[policy] ?? { meanMs: 0, p99Ms: 0 };
      sums[policy] = { meanMs: sum.meanMs + meanMs / SEEDS, p99Ms: sum.p99Ms + p99Ms / SEEDS };
    }
  const [ours, theirs] = [sums[learns], sums[other]];
  return {
    metric,
    value: (ours?.meanMs ?? Number.NaN) / (theirs?.meanMs ?? Number.NaN),
    unit: 'ratio',
    goal: '<= 1.01',
    peers: { 'mean ms': ours?.meanMs ?? Number.NaN, 'p99 ms': ours?.p99Ms ?? 0, 'p99 ms without': theirs?.p99Ms ?? 0 },
  };
}
