export {
  type PayloadDecision,
  type PayloadForm,
  type PayloadQuestion,
  payloadForm,
} from './decisions/payload-form.ts';
export {
  behindS,
  type SyncBounds,
  type SyncInterval,
  type SyncLink,
  type SyncStamp,
  syncIntervals,
  syncStamps,
} from './decisions/sync-interval.ts';
export { type Flow, minCostFlow } from './flow/min-cost-flow.ts';
export { type Network, NetworkBuilder } from './flow/network.ts';
export {
  CLASSES,
  type PlanProblem,
  type PlanRegion,
  type PlanSource,
  type PriorityClass,
  type Way,
} from './plan/problem.ts';
export { type Assignment, type Plan, type RegionPlan, type Shed, solvePlan } from './plan/solve-plan.ts';
