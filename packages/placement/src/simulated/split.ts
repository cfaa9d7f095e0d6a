import type { Random } from '@meridian/runtime';
import { DemandForecast } from '../online/demand-forecast.ts';
import type { PlanProblem } from '../plan/problem.ts';
import { solvePlan } from '../plan/solve-plan.ts';
import { DemandMeter } from './demand-meter.ts';
import type { Placing, Sight } from './policy.ts';
import { simulatedProblem } from './simulated-problem.ts';

/**
 * The optimal split of the demand of the last interval, or of what is forecast for the next, drawn by chance until the next
 * plan: what a planner does that nobody corrects in between. It learns demand and workers of all regions at once. What the
 * plan gives up is spread over the workers: nothing is dropped here.
 */
export class PlanSplit implements Placing {
  readonly #sight: Sight;
  readonly #random: Random;
  readonly #demand: DemandMeter;
  /** By origin; none: the next interval is taken to be as the last. */
  readonly #forecasts: readonly DemandForecast[];
  /** By origin × regions + region: weights. */
  readonly #weights: Float64Array;

  constructor(sight: Sight, random: Random, intervalMs: number, forecasts = false) {
    this.#sight = sight;
    this.#random = random;
    this.#demand = new DemandMeter(sight.regions, intervalMs);
    this.#forecasts = forecasts ? sight.names.map(() => new DemandForecast()) : [];
    this.#weights = new Float64Array(sight.regions ** 2);
    for (let i = 0; i < sight.regions; i++) this.#weights[i * sight.regions + i] = 1;
  }

  place(origin: number, nowMs: number): number {
    if (this.#demand.count(origin, nowMs)) this.#plan();
    const { regions } = this.#sight;
    const from = origin * regions;
    let all = 0;
    for (let j = 0; j < regions; j++) all += this.#weights[from + j] as number;
    let left = this.#random.next() * all;
    for (let j = 0; j < regions; j++) {
      left -= this.#weights[from + j] as number;
      if (left < 0) return j;
    }
    return origin;
  }

  #plan(): void {
    const { regions, names, truth } = this.#sight;
    for (const [i, forecast] of this.#forecasts.entries()) forecast.observe(this.#demand.perSecond[i] as number);
    const plan = solvePlan(this.#problem());
    this.#weights.fill(0);
    for (const { source, region, tasksPerSecond } of plan.assignments)
      this.#add(names.indexOf(source.origin), names.indexOf(region), tasksPerSecond);
    const workers = truth.workers.reduce((a, b) => a + b, 0);
    for (const { source, tasksPerSecond } of plan.shed)
      for (let j = 0; j < regions; j++)
        this.#add(names.indexOf(source.origin), j, (tasksPerSecond * (truth.workers[j] as number)) / workers);
    for (let i = 0; i < regions; i++) if (this.#demand.perSecond[i] === 0) this.#add(i, i, 1);
  }

  #add(origin: number, region: number, weight: number): void {
    const at = origin * this.#sight.regions + region;
    this.#weights[at] = (this.#weights[at] as number) + weight;
  }

  #problem(): PlanProblem {
    const { truth, roundTripMs } = this.#sight;
    const moment = {
      ...this.#sight,
      workers: (region: number) => truth.workers[region] as number,
      tasksPerSecond: (origin: number) => this.#forecasts[origin]?.next ?? (this.#demand.perSecond[origin] as number),
      roundTripMs: (origin: number, region: number) => roundTripMs[origin]?.[region] ?? 0,
    };
    return simulatedProblem(moment, 1);
  }
}
