import { minCostFlow } from '../flow/min-cost-flow.ts';
import { NetworkBuilder } from '../flow/network.ts';
import { greedy } from './policy.ts';
import { roundTripMs, type Scenario } from './scenario.ts';
import { simulate } from './simulate.ts';

const WINDOW_MS = 1_000;

/** What a mean answer time is compared with. */
export interface Bound {
  readonly meanMs: number;
  readonly serviceMs: number;
  /** Least mean round trip if all demand of a window is a fluid and every worker is used fully. */
  readonly floorMs: number;
  /** Mean wait if all workers of the world stood behind one queue, with no way to them. */
  readonly pooledWaitMs: number;
}

/**
 * Mean service + least round trips + pooled wait. Each part is the least that its own trouble costs when the others are taken
 * away; that they add up is assumed, not proven, and hardly matters where one of them is small.
 */
export function bound(scenario: Scenario, seed: number): Bound {
  const serviceMs = scenario.meanServiceMs;
  const floorMs = roundTripFloor(scenario);
  const pooledWaitMs = pooledWait(scenario, seed) - serviceMs;
  return { meanMs: serviceMs + floorMs + pooledWaitMs, serviceMs, floorMs, pooledWaitMs };
}

function roundTripFloor(scenario: Scenario): number {
  let [tasks, tripMs] = [0, 0];
  for (let timeMs = WINDOW_MS / 2; timeMs < scenario.durationMs; timeMs += WINDOW_MS) {
    const window = fluid(scenario, timeMs);
    tasks += window.tasks;
    tripMs += window.tripMs;
  }
  return tripMs / tasks;
}

function fluid({ regions, demand, workers, meanServiceMs }: Scenario, timeMs: number) {
  const builder = new NetworkBuilder();
  const root = builder.node();
  const first = [-1];
  const nodes = regions.map((_, j) => {
    const node = builder.node();
    first[node] = builder.arc(node, root, 0, (workers(j, timeMs) * 1_000) / meanServiceMs);
    return node;
  });
  let tasks = 0;
  for (const [i, origin] of regions.entries()) {
    const rate = demand(i, timeMs);
    const node = builder.node(rate);
    tasks += rate;
    // What no worker can take in this window comes back in the next one: it waits, which the other part counts.
    first[node] = builder.arc(node, root, FAR_MS);
    for (const [j, region] of regions.entries()) builder.arc(node, nodes[j] as number, roundTripMs(origin, region));
  }
  const network = builder.build(root);
  const { flow } = minCostFlow(network, Int32Array.from(first));
  const tripMs = flow.reduce((sum, each, arc) => {
    const cost = network.cost[arc] as number;
    return cost === FAR_MS ? sum : sum + each * cost;
  }, 0);
  return { tasks, tripMs };
}

const FAR_MS = 1e6;

/** One region with the workers of all, in which everybody is at home but without the round trip of that. */
function pooledWait(scenario: Scenario, seed: number): number {
  const workers = scenario.regions.reduce((sum, region) => sum + region.workers, 0);
  const all = (timeMs: number) => scenario.regions.reduce((sum, _, j) => sum + scenario.workers(j, timeMs), 0);
  const demand = (timeMs: number) => scenario.regions.reduce((sum, _, i) => sum + scenario.demand(i, timeMs), 0);
  const demandMax = scenario.regions.reduce((sum, _, i) => sum + scenario.demandMax(i), 0);
  const home = { name: 'world', latitude: 0, longitude: 0, workers, weight: 1 };
  const pooled: Scenario = {
    ...scenario,
    regions: [home],
    demand: (_, timeMs) => demand(timeMs),
    demandMax: () => demandMax,
    workers: (_, timeMs) => all(timeMs),
  };
  return simulate(pooled, greedy(1), seed).meanMs - roundTripMs(home, home);
}
