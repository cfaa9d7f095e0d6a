import type { Plan, PlanService } from '@meridian/contracts/plan';
import { Failure } from '@meridian/failure';
import type { AllowList, ServiceHandlers } from '@meridian/rpc';
import type { Clock } from '@meridian/runtime';
import type { PlanBoard } from '../planning/plan-board.ts';

/** Everything that is not named here is refused. */
export const PLAN_SERVICE_ALLOW: AllowList = {
  getPlan: ['client', 'operator'],
  watchPlan: ['client', 'operator'],
};

/** The first plan is made with the first load report. */
const NO_PLAN_RETRY_MS = 500;

/** PlanService: the plans of this region, for people and consoles. */
export function planServiceHandlers(board: PlanBoard<Plan>, clock: Clock): ServiceHandlers<typeof PlanService> {
  const nowUnixMs = () => BigInt(Math.round(clock.nowMs()));
  return {
    getPlan: async () => {
      if (board.last !== undefined) return { plan: board.last, nowUnixMs: nowUnixMs() };
      const message = 'there is no plan yet: no scheduler has reported its load; does the region’s scheduler run?';
      throw new Failure('UNAVAILABLE', message, { reason: 'NO_PLAN_YET', retryDelayMs: NO_PLAN_RETRY_MS });
    },
    watchPlan: async function* (_, context) {
      const signal = AbortSignal.any([context.signal, context.draining]);
      for await (const plan of board.watch(signal)) yield { plan, nowUnixMs: nowUnixMs() };
    },
  };
}
