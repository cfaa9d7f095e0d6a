import { type Bound, bound } from './bound.ts';
import type { Policy } from './policy.ts';
import type { Scenario } from './scenario.ts';
import { type Answers, simulate } from './simulate.ts';
import { drawWorkload } from './workload.ts';

/** How a policy did with the tasks that all policies get. */
export interface PolicyResult {
  readonly policy: string;
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Mean ÷ bound. */
  readonly overBound: number;
  /** By region: part of the tasks that ran there. */
  readonly shares: readonly number[];
}

export interface Comparison {
  readonly scenario: string;
  readonly seed: number;
  readonly tasks: number;
  readonly regions: readonly string[];
  readonly bound: Bound;
  readonly results: readonly PolicyResult[];
}

/** Runs each policy on the same tasks. `began` is told each policy's name before its run. */
export function compare(
  scenario: Scenario,
  policies: readonly Policy[],
  seed: number,
  began: (policy: string) => void = () => undefined,
): Comparison {
  const workload = drawWorkload(scenario, seed);
  const least = bound(scenario, workload);
  const results = policies.map((policy) => {
    began(policy.name);
    return resultOf(policy.name, simulate(scenario, policy, seed, workload), least);
  });
  const regions = scenario.regions.map(({ name }) => name);
  return { scenario: scenario.name, seed, tasks: workload.startMs.length, regions, bound: least, results };
}

function resultOf(policy: string, { latenciesMs, meanMs, ran }: Answers, least: Bound): PolicyResult {
  const sorted = latenciesMs.toSorted();
  const quantile = (part: number) => sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? 0;
  return {
    policy,
    meanMs,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    overBound: meanMs / least.meanMs,
    shares: ran.map((tasks) => tasks / Math.max(1, latenciesMs.length)),
  };
}
