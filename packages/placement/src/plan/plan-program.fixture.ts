import { payloadForm } from '../decisions/payload-form.ts';
import { type LinearProgram, leastOf, type Row, type Variable } from '../flow/linear-program.fixture.ts';
import { piecesOf, shedCosts } from './plan-network.ts';
import type { PlanProblem, PlanRegion, PlanSource, PriorityClass, Way } from './problem.ts';
import { wayMs } from './problem.ts';
import { type Plan, solvePlan } from './solve-plan.ts';

/** The model as it is written in problem.ts, as a linear program: nothing of the network is in it. */
export function programOf(problem: PlanProblem, shed = shedCosts(problem)): LinearProgram {
  const { regions, sources, way } = problem;
  const rows: Row[] = [];
  const variables: Variable[] = [];
  const row = (kind: Row['kind'], limit: number) => rows.push({ kind, limit }) - 1;
  const variable = (name: string, cost: number, uses: Variable['uses'], upper = Number.POSITIVE_INFINITY) =>
    variables.push({ name, cost, upper, uses });
  const loads = regions.map(() => row('=', 0));
  const bytes = regions.map(({ bandwidthMbps }) =>
    bandwidthMbps < Number.POSITIVE_INFINITY ? row('<=', bandwidthMbps) : -1,
  );
  for (const [i, source] of sources.entries()) {
    const { origin, priority, allowed, tasksPerSecond, taskCost } = source;
    const all = row('=', tasksPerSecond);
    variable(`s${i}`, taskCost * shed[priority], [[all, 1]]);
    for (const [j, { name, capacity, workers }] of regions.entries()) {
      const lane = way(origin, name);
      if (lane === undefined || capacity === 0 || allowed?.has(name) === false) continue;
      const serviceMs = (taskCost / (capacity / workers)) * 1_000;
      const into = bytes[j] ?? -1;
      const { bytes: sent, beforeMs } = formOn(source, lane);
      const remote = into >= 0 && origin !== name ? [[into, (sent * 8) / 1e6] as const] : [];
      const uses = [[all, 1] as const, [loads[j] ?? 0, taskCost] as const, ...remote];
      variable(`x${i}_${j}`, beforeMs + wayMs(lane, sent) + serviceMs, uses);
    }
  }
  for (const [j, region] of regions.entries())
    for (const [k, { width, slope }] of (region.capacity > 0 ? piecesOf(region, problem) : []).entries())
      variable(`p${j}_${k}`, slope, [[loads[j] ?? 0, -1]], width);
  return { variables, rows };
}

/** Bytes on the way, and the time before. Pixels of no picture: enough for the rule to look at the link alone. */
function formOn({ pictureBytes, downscaling }: PlanSource, way: Way): { bytes: number; beforeMs: number } {
  if (downscaling === undefined) return { bytes: pictureBytes, beforeMs: 0 };
  const { bytes, takesMs } = downscaling;
  const modelPixels = bytes / 2;
  const { form } = payloadForm({
    ...{ picture: { bytes: pictureBytes, pixels: 8 * modelPixels }, modelPixels, way },
    ...{ downscaleMs: takesMs, isLossyAllowed: false },
  });
  return form === 'original' ? { bytes: pictureBytes, beforeMs: 0 } : { bytes, beforeMs: takesMs };
}

/** What the LP package says that the model costs at least, ms. */
export function leastCostOf(problem: PlanProblem): number {
  return leastOf(programOf(problem));
}

/** What the plan costs in the model, ms: waiting by pieces, what is given up at its class's cost. */
export function costOf(problem: PlanProblem, plan: Plan): number {
  const shed = shedCosts(problem);
  let cost = 0;
  for (const { tasksPerSecond, latencyMs } of plan.assignments) cost += tasksPerSecond * latencyMs;
  for (const { source, tasksPerSecond } of plan.shed) cost += tasksPerSecond * source.taskCost * shed[source.priority];
  for (const { region, load } of plan.regions) {
    const own = problem.regions.find(({ name }) => name === region) as PlanRegion;
    let left = load;
    for (const { width, slope } of own.capacity > 0 ? piecesOf(own, problem) : []) {
      cost += Math.min(left, width) * slope;
      left = Math.max(0, left - width);
    }
  }
  return cost;
}

/** Worker-seconds a second of these classes that have to be given up whatever is done with all others. */
export function leastShedOf(problem: PlanProblem, classes: ReadonlySet<PriorityClass>): number {
  const costs = { high: 0, normal: 0, low: 0 };
  for (const each of classes) costs[each] = 1;
  const { variables, rows } = programOf(problem, costs);
  return leastOf({
    rows,
    variables: variables.map((each) => (each.name.startsWith('s') ? each : { ...each, cost: 0 })),
  });
}

export interface Comparison {
  readonly plan: Plan;
  /** How far the plan's cost is from the program's least, as a part of it. */
  readonly difference: number;
}

/** One problem by the solver and by the LP package. */
export function compare(problem: PlanProblem): Comparison {
  const plan = solvePlan(problem);
  const least = leastCostOf(problem);
  return { plan, difference: Math.abs(costOf(problem, plan) - least) / Math.max(1, least) };
}
