export {
  DOWNSCALED_BYTES_MIN,
  downscaledBytes,
  isWorthDownscaling,
  type PayloadDecision,
  type PayloadForm,
  type PayloadQuestion,
  payloadForm,
} from './decisions/payload-form.ts';
export {
  type SyncBounds,
  type SyncInterval,
  type SyncLink,
  syncIntervals,
} from './decisions/sync-interval.ts';
export { type Flow, minCostFlow } from './flow/min-cost-flow.ts';
export { type Network, NetworkBuilder } from './flow/network.ts';
export {
  type Beliefs,
  cheapest,
  costOf,
  expectedWaitMs,
  TASK_ROUND_TRIPS,
  WAIT_WEIGHT,
} from './online/cheapest.ts';
export { DemandForecast } from './online/demand-forecast.ts';
export { RegionPrice } from './online/region-price.ts';
export { TaskSizes } from './online/task-size.ts';
export {
  CLASSES,
  type PlanProblem,
  type PlanRegion,
  type PlanSource,
  type PriorityClass,
  type Way,
} from './plan/problem.ts';
export { isRoundTripStep } from './plan/round-trip-step.ts';
export { type Assignment, type Plan, type RegionPlan, type Shed, solvePlan } from './plan/solve-plan.ts';
export { STEERED_PART } from './plan/waiting.ts';
export { type Comparison, compare, type PolicyResult } from './simulated/compare.ts';
export { planned, sharesOf } from './simulated/planned.ts';
export { ORACLES, PEERS, POLICIES, priced } from './simulated/policies.ts';
export type { Policy } from './simulated/policy.ts';
export {
  HOME_MS,
  MEASURED_SCENARIOS,
  SCENARIO_NAMES,
  type Scenario,
  type ScenarioName,
  scenario,
  tripsOfTask,
} from './simulated/scenario.ts';
export { parseScenario } from './simulated/scenario-file.ts';
export { SIX, type SimulatedRegion, TWENTY_FOUR } from './simulated/world-regions.ts';
