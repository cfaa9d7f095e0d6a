import { compare } from '../../../packages/placement/src/plan/plan-program.fixture.ts';
import { type Kind, randomProblem } from '../../../packages/placement/src/plan/random-problem.fixture.ts';
import type { Row } from '../report.ts';

/** In all; half with equal and half with mixed payloads. CI's tests take the first of smaller ones. */
const INSTANCES = Number(process.env.INSTANCES ?? '1000');

/** How far plans of 3 to 60 regions are from what HiGHS says of the written model, at worst. */
export function optimalityRows(): readonly Row[] {
  const equal = worstOf(INSTANCES / 2, 'equal');
  const mixed = worstOf(INSTANCES / 2, 'mixed');
  return [
    rowOf('plan_equal_payloads_cost_off_lp_ratio', equal, '<= 0.000001'),
    rowOf('plan_mixed_payloads_cost_off_lp_ratio', mixed, '<= 0.01'),
    { ...rowOf('plan_mixed_payloads_reported_gap_ratio', mixed, '<= 0.01'), value: mixed.gap },
    { ...rowOf('plan_bounds_exceeded_count', equal, '<= 0'), value: equal.exceeded + mixed.exceeded, unit: 'plans' },
  ];
}

interface Worst {
  difference: number;
  gap: number;
  /** Plans that give something up. */
  infeasible: number;
  /** Plans in which bytes into a region have a price. */
  priced: number;
  /** Plans that break a bound of load or bytes. */
  exceeded: number;
}

function rowOf(metric: string, { difference, infeasible, priced }: Worst, goal: string): Row {
  const peers = { instances: INSTANCES / 2, 'with too much demand': infeasible, 'with prices on bytes': priced };
  return { metric, value: difference, unit: 'ratio', goal, peers };
}

function worstOf(instances: number, payloads: Kind['payloads']): Worst {
  const worst = { difference: 0, gap: 0, infeasible: 0, priced: 0, exceeded: 0 };
  for (let seed = 1; seed <= instances; seed++) {
    const problem = randomProblem(seed, { regionsMin: 3, regionsMax: 60, payloads });
    const { plan, difference } = compare(problem);
    worst.difference = Math.max(worst.difference, difference);
    worst.gap = Math.max(worst.gap, plan.gap);
    if (plan.shed.length > 0) worst.infeasible++;
    if (plan.regions.some(({ megabytePriceMs }) => megabytePriceMs > 0)) worst.priced++;
    const isExceeded = plan.regions.some(({ region, load, capacity, remoteBytesPerSecond }) => {
      const mbps = problem.regions.find(({ name }) => name === region)?.bandwidthMbps ?? 0;
      return load > capacity * 0.98 * (1 + 1e-9) || (remoteBytesPerSecond * 8) / 1e6 > mbps * (1 + 1e-9);
    });
    if (isExceeded) worst.exceeded++;
  }
  return worst;
}
