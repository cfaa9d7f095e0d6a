import type { PlanProblem } from '../plan/problem.ts';

export interface SimulatedMoment {
  readonly names: readonly string[];
  /** By region: workers that are there. */
  readonly workers: (region: number) => number;
  /** By origin. */
  readonly tasksPerSecond: (origin: number) => number;
  readonly roundTripMs: (origin: number, region: number) => number;
  readonly meanServiceMs: number;
  readonly serviceCv: number;
}

/** The placement problem of one moment of a simulated world: one model, one class, links without bounds. */
export function simulatedProblem(moment: SimulatedMoment, waitPart: number): PlanProblem {
  const { names, meanServiceMs, serviceCv } = moment;
  const number = new Map(names.map((name, j) => [name, j]));
  const bandwidthMbps = Number.POSITIVE_INFINITY;
  return {
    regions: names.map((name, j) => {
      const workers = moment.workers(j);
      return { name, capacity: workers, workers: Math.max(1, workers), bandwidthMbps };
    }),
    sources: names.map((origin, i) => ({
      ...{ origin, model: 'task', priority: 'normal' as const, allowed: undefined, pictureBytes: 0 },
      ...{ tasksPerSecond: moment.tasksPerSecond(i), taskCost: meanServiceMs / 1_000 },
    })),
    way: (origin, region) => {
      const roundTripMs = moment.roundTripMs(number.get(origin) ?? 0, number.get(region) ?? 0);
      return { roundTripMs, bandwidthMbps };
    },
    variation: serviceCv ** 2,
    waitPart,
  };
}
