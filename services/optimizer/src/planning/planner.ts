import { create } from '@bufbuild/protobuf';
import { type Plan, PlanSchema } from '@meridian/contracts/plan';
import { Failure } from '@meridian/failure';
import { solvePlan } from '@meridian/placement';
import { attributeNames, type Clock, type Component, type Logger, type Timer } from '@meridian/runtime';
import { digestOf, planOutcome } from '../codec/plan-outcome.ts';
import type { Metrics } from '../metrics.ts';
import type { RegionReports, ReportDesk } from '../reports/report-desk.ts';
import { planInputs } from './inputs.ts';
import type { PlanBoard } from './plan-board.ts';
import { type Conditions, conditionsOf, type Step, stepOf } from './steps.ts';
import type { LeftOut } from './targets.ts';

export interface PlannerOptions {
  readonly region: string;
  readonly desk: ReportDesk;
  readonly board: PlanBoard<Plan>;
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, 'plans' | 'failures' | 'solveDuration'>;
  readonly publish: (plan: Plan) => void;
}

/** How soon a step is seen. */
const LOOK_INTERVAL_MS = 100;
/** Steps that come in a row, such as the regions of a system that starts, are not followed one by one. */
const STEP_INTERVAL_MS = 200;
/** A look that comes later than this found the process unable to listen. */
const DEAF_MS = 500;
/** At most this part of the time is spent on solving, however large the problem is. */
const SOLVING_SHARE = 0.25;

/**
 * Makes a plan every interval, and at once after a step.
 *
 * 1. Nothing of earlier plans goes into a plan.
 * 2. A plan that cannot be made leaves the last one in its place; that is counted and logged.
 * 3. Time in which this process did not run is nobody's silence.
 */
export class Planner implements Component {
  readonly name = 'planner';
  readonly #o: PlannerOptions;
  #timer: Timer | undefined;
  #sequence = 0;
  #conditions: Conditions | undefined;
  #plannedMs = Number.NEGATIVE_INFINITY;
  #solveMs = 0;
  #lookedMs: number | undefined;

  constructor(options: PlannerOptions) {
    this.#o = options;
  }

  start(): Promise<void> {
    this.#look();
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#timer?.cancel();
    return Promise.resolve();
  }

  #look(): void {
    const { clock, desk, region } = this.#o;
    const nowMs = clock.monotonicMs();
    const deafMs = nowMs - (this.#lookedMs ?? nowMs) - LOOK_INTERVAL_MS;
    this.#lookedMs = nowMs;
    // What has come meanwhile is read after this turn: the next look has it.
    if (deafMs > DEAF_MS) desk.excuse(deafMs);
    else {
      const reports = desk.fresh(nowMs);
      const conditions = conditionsOf(reports, region);
      const cause = this.#cause(conditions, nowMs);
      if (cause !== undefined && reports.some(({ load }) => load !== undefined)) this.#plan(reports, conditions, cause);
    }
    this.#timer = clock.setTimer(LOOK_INTERVAL_MS, () => this.#look());
  }

  #cause(conditions: Conditions, nowMs: number): Step | 'interval' | undefined {
    const sinceMs = nowMs - this.#plannedMs;
    if (sinceMs < Math.max(STEP_INTERVAL_MS, this.#solveMs / SOLVING_SHARE)) return undefined;
    const step = stepOf(this.#conditions, conditions);
    return step ?? (sinceMs >= this.#o.intervalMs ? 'interval' : undefined);
  }

  #plan(reports: readonly RegionReports[], conditions: Conditions, cause: Step | 'interval'): void {
    const { region, board, clock, logger, metrics, publish } = this.#o;
    const startMs = clock.monotonicMs();
    this.#plannedMs = startMs;
    this.#conditions = conditions;
    try {
      const inputs = planInputs(reports, region);
      const outcome = planOutcome(inputs, solvePlan(inputs.problem));
      this.#solveMs = clock.monotonicMs() - startMs;
      const plan = create(PlanSchema, {
        ...{ region, cause, outcome, digest: digestOf(outcome), solveMs: this.#solveMs },
        sequence: BigInt(++this.#sequence),
        computedUnixMs: BigInt(Math.round(clock.nowMs())),
        inputs: reports.map((each) => inputMessage(each, inputs.leftOut.get(each.region))),
      });
      metrics.plans.add(1, { [attributeNames.reason]: cause });
      metrics.solveDuration.record(this.#solveMs);
      board.put(plan);
      publish(plan);
    } catch (error) {
      const { reason } = Failure.from(error);
      metrics.failures.add(1, { [attributeNames.reason]: reason });
      logger.error({ err: error, reason }, 'no plan could be made');
    }
  }
}

function inputMessage({ region, load, loadAgeMs, demands, demandAgeMs }: RegionReports, out: LeftOut | undefined) {
  return {
    ...{ region, loadAgeMs, demandAgeMs, leftOut: out ?? '', demandReports: demands.length },
    outstanding: load?.outstanding ?? 0,
    livePriceMs: load?.priceMs ?? 0,
  };
}
