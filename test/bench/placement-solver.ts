import { type PlanProblem, solvePlan } from '@meridian/placement';
import { equalTo, lessEq, type Model, solve } from 'yalps';
import { type LinearProgram, leastOfText, textOf } from '../../packages/placement/src/flow/linear-program.fixture.ts';
import { costOf, leastCostOf, programOf } from '../../packages/placement/src/plan/plan-program.fixture.ts';
import { type Kind, randomProblem } from '../../packages/placement/src/plan/random-problem.fixture.ts';
import { median, type Row } from './report.ts';

const INSTANCES = Number(process.env.INSTANCES ?? '1000');
const ROUNDS = 5;
/** A dense tableau: beyond this many regions it takes minutes and gigabytes. */
const YALPS_REGIONS_MAX = 50;

/** Plans against LP packages that get the model as it is written: optimal, and how much faster. */
export function solverRows(): readonly Row[] {
  return [...optimalityRows(), ...[50, 100, 200].flatMap((regions) => speedRows(regions))];
}

function optimalityRows(): Row[] {
  const exact = worstOf(INSTANCES / 2, 'equal');
  const mixed = worstOf(INSTANCES / 2, 'mixed');
  const row = (metric: string, value: number, goal: string, peers: Row['peers']) => ({
    ...{ metric, value, unit: 'ratio', goal, peers },
  });
  return [
    row('plan_over_lp_equal_payloads_less_one', exact.worst, '<= 0.000001', counts(exact)),
    row('plan_over_lp_mixed_payloads_less_one', mixed.worst, '<= 0.01', { ...counts(mixed), 'gap said': mixed.gap }),
  ];
}

interface Worst {
  readonly worst: number;
  readonly gap: number;
  readonly instances: number;
  readonly infeasible: number;
}

function counts({ instances, infeasible }: Worst): Row['peers'] {
  return { instances, 'with too much demand': infeasible };
}

function worstOf(instances: number, payloads: Kind['payloads']): Worst {
  let [worst, gap, infeasible] = [0, 0, 0];
  for (let seed = 1; seed <= instances; seed++) {
    const problem = randomProblem(seed, { regionsMin: 3, regionsMax: 60, payloads });
    const plan = solvePlan(problem);
    const least = leastCostOf(problem);
    worst = Math.max(worst, Math.abs(costOf(problem, plan) - least) / Math.max(1, least));
    gap = Math.max(gap, plan.gap);
    if (plan.shed.length > 0) infeasible++;
  }
  return { worst, gap, instances, infeasible };
}

/** Problems of the same size, each solved by all in turn. */
function speedRows(regions: number): Row[] {
  const kind = (payloads: Kind['payloads']): Kind => ({ regionsMin: regions, regionsMax: regions, payloads });
  const times = { ours: [] as number[], mixed: [] as number[], highs: [] as number[], yalps: [] as number[] };
  const before = process.memoryUsage();
  for (let seed = 1; seed <= ROUNDS; seed++) {
    const problem = randomProblem(10_000 + seed, kind('equal'));
    const program = programOf(problem);
    const text = textOf(program);
    times.ours.push(timed(() => solvePlan(problem)));
    times.highs.push(timed(() => leastOfText(text)));
    if (regions <= YALPS_REGIONS_MAX) times.yalps.push(timed(() => solve(modelOf(program))));
  }
  const grownBytes = process.memoryUsage().rss - before.rss;
  for (let seed = 1; seed <= 2; seed++) {
    const mixed: PlanProblem = randomProblem(20_000 + seed, kind('mixed'));
    times.mixed.push(timed(() => solvePlan(mixed)));
  }
  const ours = median(times.ours);
  const lps = { HiGHS: median(times.highs), ...(times.yalps.length > 0 && { YALPS: median(times.yalps) }) };
  const fastest = Math.min(...Object.values(lps));
  const sized = regions === 200 ? '' : `_${regions}`;
  return [
    {
      ...{ metric: `solver_${regions}_regions_ms`, value: ours, unit: 'ms', goal: '<= 1000' },
      peers: { ...lps, 'mixed payloads': median(times.mixed), 'grown MiB, LP packages included': grownBytes / 2 ** 20 },
    },
    {
      ...{ metric: `solver_speed_over_fastest_lp${sized}_ratio`, value: fastest / ours, unit: 'ratio' },
      ...{ goal: regions === 200 ? '>= 5' : '', peers: {} },
    },
  ];
}

function timed(run: () => unknown): number {
  const startMs = performance.now();
  run();
  return performance.now() - startMs;
}

function modelOf({ variables, rows }: LinearProgram): Model {
  const constraints = new Map(
    rows.map(({ kind, limit }, i) => [`r${i}`, kind === '=' ? equalTo(limit) : lessEq(limit)]),
  );
  const all = new Map<string, Map<string, number>>();
  for (const { name, cost, upper, uses } of variables) {
    const own = new Map([['cost', cost], ...uses.map(([row, amount]) => [`r${row}`, amount] as const)]);
    if (upper < Number.POSITIVE_INFINITY) {
      constraints.set(name, lessEq(upper));
      own.set(name, 1);
    }
    all.set(name, own);
  }
  return { direction: 'minimize', objective: 'cost', constraints, variables: all };
}
