import { minCostFlow } from '../flow/min-cost-flow.ts';
import { NetworkBuilder } from '../flow/network.ts';
import { Events } from './events.ts';
import { DAY_MS, type Scenario } from './scenario.ts';
import type { Workload } from './workload.ts';

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
export function bound(scenario: Scenario, workload: Workload): Bound {
  const serviceMs = scenario.meanServiceMs;
  const floorMs = roundTripFloor(scenario);
  const pooledWaitMs = pooledWait(scenario, workload);
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

function fluid({ regions, roundTripMs, demand, workers, meanServiceMs }: Scenario, timeMs: number) {
  const builder = new NetworkBuilder();
  const root = builder.node();
  const first = [-1];
  const nodes = regions.map((_, j) => {
    const node = builder.node();
    first[node] = builder.arc(node, root, 0, (workers(j, timeMs) * 1_000) / meanServiceMs);
    return node;
  });
  let tasks = 0;
  for (const [i] of regions.entries()) {
    const rate = demand(i, timeMs);
    const node = builder.node(rate);
    tasks += rate;
    // What no worker can take in this window comes back in the next one: it waits, which the other part counts.
    first[node] = builder.arc(node, root, FAR_MS);
    for (const [j, to] of nodes.entries()) builder.arc(node, to, roundTripMs(i, j));
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

/** Between two looks for workers that come back, and how often: a whole day. */
const LOOK_MS = 100;
const LOOKS_MAX = DAY_MS / LOOK_MS;

/** One queue before the workers of all regions, with no way to them: first come, first served, the same tasks. */
function pooledWait({ regions, workers }: Scenario, { startMs, serviceMs }: Workload): number {
  const most = regions.reduce((sum, region) => sum + region.workers, 0);
  const workersOf = (timeMs: number) => regions.reduce((sum, _, j) => sum + workers(j, timeMs), 0);
  const free = new Events();
  let [present, away, waitMs] = [0, 0, 0];
  for (let task = 0; task < startMs.length; task++) {
    const beginsMs = startMs[task] as number;
    // When all are away a task waits until some come back, whoever is free.
    let fromMs = beginsMs;
    let now = workersOf(fromMs);
    for (let left = LOOKS_MAX; now === 0 && left > 0; left--) {
      fromMs += LOOK_MS;
      now = workersOf(fromMs);
    }
    // Workers that went away take no more; those that came are free at once.
    for (; present + away < most && present < now; present++) free.add(fromMs, 0, 0, 0);
    for (; present > now; present--) {
      free.take();
      away++;
    }
    for (; away > 0 && present < now; present++) {
      free.add(fromMs, 0, 0, 0);
      away--;
    }
    const worksMs = Math.max(fromMs, free.take());
    waitMs += worksMs - beginsMs;
    free.add(worksMs + (serviceMs[task] as number), 0, 0, 0);
  }
  return waitMs / startMs.length;
}
