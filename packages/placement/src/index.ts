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
