import { type Flow, minCostFlow } from '../flow/min-cost-flow.ts';
import { type SolvedFlow, solveMixedPayloads } from './mixed-payloads.ts';
import { bytesPerSecond, type Lane, PlanNetwork } from './plan-network.ts';
import { type PlanProblem, type PlanRegion, type PlanSource, requireValid } from './problem.ts';
import { meanWaiting } from './waiting.ts';

/** Part of a source that a region runs. */
export interface Assignment {
  readonly source: PlanSource;
  readonly region: string;
  readonly tasksPerSecond: number;
  /** Way and service, without waiting. */
  readonly latencyMs: number;
}

export interface RegionPlan {
  readonly region: string;
  /** u: worker-seconds a second that it is given. */
  readonly load: number;
  readonly capacity: number;
  /** What one more worker-second a second there would cost all tasks together, ms. */
  readonly priceMs: number;
  /** Bytes a second from other regions. */
  readonly remoteBytesPerSecond: number;
  /** What one more megabyte a second into it would save all tasks together, ms. */
  readonly megabytePriceMs: number;
  /** Mean over its tasks. */
  readonly waitMs: number;
}

/** Demand that no region can take, or only in place of more urgent demand. */
export interface Shed {
  readonly source: PlanSource;
  readonly tasksPerSecond: number;
  /** No region that it may run in can be reached and has workers; or those that can are full, or the ways to them. */
  readonly reason: 'NO_REGION' | 'NO_ROOM';
}

export interface Plan {
  readonly assignments: readonly Assignment[];
  readonly regions: readonly RegionPlan[];
  readonly shed: readonly Shed[];
  /** Mean over the tasks that are placed; 0 without any. */
  readonly latencyMs: number;
  /** Of the model: milliseconds of all tasks of a second, without what is shed. */
  readonly costMs: number;
  /** How far above the optimum the cost can be at most, as a part of it: 0 but for rounding. */
  readonly gap: number;
}

/** Rates below this part of their source are what rounding leaves. */
const SHARE_MIN = 1e-9;

/**
 * The plan of {@link PlanProblem}: its optimum, with waiting by pieces. A minimum-cost flow where remote bytes are arcs of it
 * or have no bounds, else a linear program. Nothing of earlier plans goes in, and the order in which regions and sources are
 * given does not matter: the same problem gives the same bytes.
 * @throws Failure INVALID_ARGUMENT / PLAN_INPUT_INVALID. Not retryable.
 */
export function solvePlan(problem: PlanProblem): Plan {
  requireValid(problem);
  const regions = [...problem.regions].sort((a, b) => order(a.name, b.name));
  const sources = problem.sources.filter(({ tasksPerSecond }) => tasksPerSecond > 0).sort(bySource);
  const canonical = { ...problem, regions, sources };
  const plan = new PlanNetwork(canonical);
  const flow = minCostFlow(plan.network, plan.firstTree);
  // What keeps bounds that nobody asked it to keep is the optimum all the same.
  const isOptimal = plan.isByteExact || keepsBytes(plan, regions, flow);
  const solved = isOptimal ? solvedOf(plan, flow) : solveMixedPayloads(plan, regions, flow);
  return new Reading(canonical, plan, solved).plan();
}

function solvedOf({ network, lanes, gates, regionNodes }: PlanNetwork, { flow, potential }: Flow): SolvedFlow {
  const bytePrices = new Float64Array(regionNodes.length);
  for (const { region, remoteBytes } of lanes) {
    const gate = gates[region] as number;
    if (gate < 0 || remoteBytes === 0) continue;
    const [entrance, node] = [network.from[gate] as number, network.to[gate] as number];
    // Complementary slackness: only a full gate has a price.
    const isFull = (flow[gate] as number) >= (network.capacity[gate] as number);
    const price = (potential[node] as number) - (potential[entrance] as number);
    bytePrices[region] = isFull ? Math.max(0, price) / remoteBytes : 0;
  }
  const prices = Float64Array.from(regionNodes, (node) => Math.max(0, -(potential[node] as number)));
  const costMs = flow.reduce((sum, each, arc) => sum + each * (network.cost[arc] as number), 0);
  return { flow, prices, bytePrices, costMs, lowerBoundMs: costMs };
}

function keepsBytes({ lanes }: PlanNetwork, regions: readonly PlanRegion[], { flow }: Flow): boolean {
  const into = new Float64Array(regions.length);
  for (const { region, remoteBytes, arc } of lanes)
    into[region] = (into[region] as number) + remoteBytes * (flow[arc] as number);
  return regions.every((region, j) => (into[j] as number) <= bytesPerSecond(region));
}

/** Of what a region is given in a second. */
interface Sums {
  load: number;
  /** Tasks. */
  rate: number;
  /** From elsewhere. */
  bytes: number;
}

/** What a flow means. */
class Reading {
  readonly #problem: PlanProblem;
  readonly #network: PlanNetwork;
  readonly #solved: SolvedFlow;

  constructor(problem: PlanProblem, network: PlanNetwork, solved: SolvedFlow) {
    this.#problem = problem;
    this.#network = network;
    this.#solved = solved;
  }

  plan(): Plan {
    const assignments = this.#network.lanes.flatMap((lane) => this.#assignment(lane));
    const sums = this.#sums();
    const regions = this.#problem.regions.map((region, j) => this.#region(region, j, sums[j] as Sums));
    const placeable = new Set(this.#network.lanes.map(({ source }) => source));
    const shed = this.#network.shed.flatMap(({ source, arc }): Shed[] => {
      const tasksPerSecond = rateOf(this.#solved.flow[arc] as number, source);
      const reason = placeable.has(source) ? 'NO_ROOM' : 'NO_REGION';
      return tasksPerSecond === 0 ? [] : [{ source, tasksPerSecond, reason }];
    });
    return { assignments, regions, shed, ...summary(assignments, regions), gap: this.#gap() };
  }

  #assignment({ source, region, latencyMs, arc }: Lane): Assignment[] {
    const tasksPerSecond = rateOf(this.#solved.flow[arc] as number, source);
    const { name } = this.#problem.regions[region] as PlanRegion;
    return tasksPerSecond === 0 ? [] : [{ source, region: name, tasksPerSecond, latencyMs }];
  }

  /** By region. */
  #sums(): readonly Sums[] {
    const { flow } = this.#solved;
    const sums = this.#problem.regions.map(() => ({ load: 0, rate: 0, bytes: 0 }));
    for (const { source, region, remoteBytes, arc } of this.#network.lanes) {
      const [own, each] = [sums[region] as Sums, flow[arc] as number];
      own.load += each;
      own.rate += rateOf(each, source);
      own.bytes += remoteBytes * each;
    }
    return sums;
  }

  #region({ name, capacity, workers }: PlanRegion, j: number, { load, rate, bytes }: Sums): RegionPlan {
    const { prices, bytePrices } = this.#solved;
    const waiting = capacity > 0 ? meanWaiting((load / capacity) * workers, workers, this.#problem) : 0;
    const waitMs = rate > 0 ? (waiting / rate) * 1_000 : 0;
    const priceMs = prices[j] as number;
    const megabytePriceMs = (bytePrices[j] as number) * 1e6;
    return { region: name, load, capacity, priceMs, remoteBytesPerSecond: bytes, megabytePriceMs, waitMs };
  }

  /** Of the cost in the model's own pieces, without what is given up. */
  #gap(): number {
    const { flow, costMs, lowerBoundMs } = this.#solved;
    const given = this.#network.shed.reduce((sum, { arc, cost }) => sum + cost * (flow[arc] as number), 0);
    return costMs > given ? Math.max(0, costMs - lowerBoundMs) / (costMs - given) : 0;
  }
}

function summary(
  assignments: readonly Assignment[],
  regions: readonly RegionPlan[],
): Pick<Plan, 'latencyMs' | 'costMs'> {
  const waitMs = new Map(regions.map(({ region, waitMs: each }) => [region, each]));
  let [tasks, costMs] = [0, 0];
  for (const { region, tasksPerSecond, latencyMs } of assignments) {
    tasks += tasksPerSecond;
    costMs += tasksPerSecond * (latencyMs + (waitMs.get(region) ?? 0));
  }
  return { costMs, latencyMs: tasks > 0 ? costMs / tasks : 0 };
}

function rateOf(flow: number, { tasksPerSecond, taskCost }: PlanSource): number {
  const rate = flow / taskCost;
  return rate <= tasksPerSecond * SHARE_MIN ? 0 : rate;
}

/** By code unit: the same in every locale. */
function order(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function bySource(a: PlanSource, b: PlanSource): number {
  return order(textOf(a), textOf(b));
}

function textOf(source: PlanSource): string {
  const { origin, model, priority, allowed, tasksPerSecond, taskCost, pictureBytes, downscaling } = source;
  const regions = allowed && [...allowed].sort(order);
  return JSON.stringify([origin, model, priority, regions, tasksPerSecond, taskCost, pictureBytes, downscaling]);
}
