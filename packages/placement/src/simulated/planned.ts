import { type Plan, solvePlan } from '../plan/solve-plan.ts';
import { STEERED_PART } from '../plan/waiting.ts';
import type { Scenario } from './scenario.ts';
import { simulatedProblem } from './simulated-problem.ts';

/** What the plan promises for the demand and the workers of one moment, if they stayed as they are then. */
export function planned(scenario: Scenario, timeMs: number): Plan {
  const moment = {
    ...scenario,
    names: scenario.regions.map(({ name }) => name),
    workers: (region: number) => scenario.workers(region, timeMs),
    tasksPerSecond: (origin: number) => scenario.demand(origin, timeMs),
  };
  return solvePlan(simulatedProblem(moment, STEERED_PART));
}

/** By region of the scenario: part of all tasks that the plan gives it. */
export function sharesOf({ assignments }: Plan, { regions }: Scenario): number[] {
  const all = assignments.reduce((sum, { tasksPerSecond }) => sum + tasksPerSecond, 0);
  return regions.map(({ name }) => {
    const given = assignments.filter(({ region }) => region === name);
    return given.reduce((sum, { tasksPerSecond }) => sum + tasksPerSecond, 0) / Math.max(all, Number.MIN_VALUE);
  });
}
