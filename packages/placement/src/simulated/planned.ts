import { type Plan, solvePlan } from '../plan/solve-plan.ts';
import { STEERED_PART } from '../plan/waiting.ts';
import type { Scenario } from './scenario.ts';

/** What the plan promises for the demand and the workers of one moment, if they stayed as they are then. */
export function planned(scenario: Scenario, timeMs: number): Plan {
  const { regions, roundTripMs, demand, workers, meanServiceMs, serviceCv } = scenario;
  const number = new Map(regions.map(({ name }, j) => [name, j]));
  return solvePlan({
    regions: regions.map(({ name }, j) => {
      const present = workers(j, timeMs);
      return { name, capacity: present, workers: Math.max(1, present), bandwidthMbps: Number.POSITIVE_INFINITY };
    }),
    sources: regions.map(({ name }, i) => ({
      origin: name,
      model: 'simulated',
      priority: 'normal' as const,
      allowed: undefined,
      tasksPerSecond: demand(i, timeMs),
      taskCost: meanServiceMs / 1_000,
      pictureBytes: 0,
    })),
    way: (origin, region) => ({
      roundTripMs: roundTripMs(number.get(origin) ?? 0, number.get(region) ?? 0),
      bandwidthMbps: Number.POSITIVE_INFINITY,
    }),
    variation: serviceCv ** 2,
    waitPart: STEERED_PART,
  });
}

/** By region of the scenario: part of all tasks that the plan gives it. */
export function sharesOf({ assignments }: Plan, { regions }: Scenario): number[] {
  const all = assignments.reduce((sum, { tasksPerSecond }) => sum + tasksPerSecond, 0);
  return regions.map(({ name }) => {
    const given = assignments.filter(({ region }) => region === name);
    return given.reduce((sum, { tasksPerSecond }) => sum + tasksPerSecond, 0) / Math.max(all, Number.MIN_VALUE);
  });
}
