import { expect, test } from '@jest/globals';
import { type Flow, minCostFlow } from '../flow/min-cost-flow.ts';
import { type Network, NetworkBuilder } from '../flow/network.ts';

/**
 * The worked example of the article: beijing, shanghai, guangzhou, the round trips of regions.yaml, no waiting. Demand of each
 * city is 1. The text of its assignment table is not in this repository, its figures are (245 ms, and 15 ms at best for the
 * same column loads): every table in tenths that has both is tried.
 */
const ROUND_TRIPS_MS = [
  [0, 50, 100],
  [50, 0, 150],
  [100, 150, 0],
] as const;

interface Assigned {
  readonly costMs: number;
  readonly network: Network;
  readonly flow: Flow;
}

/** By source: what it asks for; by region: what it can do. What finds no room costs 1 s. */
function assign(demands: readonly number[], rooms: readonly number[]): Assigned {
  const builder = new NetworkBuilder();
  const root = builder.node();
  const first = [-1];
  const regions = rooms.map((room) => {
    const node = builder.node();
    first[node] = builder.arc(node, root, 0, room);
    return node;
  });
  for (const [i, demand] of demands.entries()) {
    const node = builder.node(demand);
    first[node] = builder.arc(node, root, 1_000);
    for (const [j, region] of regions.entries()) builder.arc(node, region, ROUND_TRIPS_MS[i]?.[j] ?? 0);
  }
  const network = builder.build(root);
  const flow = minCostFlow(network, Int32Array.from(first));
  return { network, flow, costMs: flow.flow.reduce((sum, each, arc) => sum + each * (network.cost[arc] ?? 0), 0) };
}

/** Three shares in tenths that make one. */
const SHARES = Array.from({ length: 11 }, (_, a) =>
  Array.from({ length: 11 - a }, (_, b) => [a, b, 10 - a - b] as const),
).flat();

const costOf = (i: number, shares: readonly number[]) =>
  shares.reduce((sum, share, j) => sum + share * (ROUND_TRIPS_MS[i]?.[j] ?? 0), 0);

/** Column loads in tenths of all tables that cost so much, each once. */
function columnLoads(costMs: number): number[][] {
  const found = new Map<string, number[]>();
  for (const a of SHARES)
    for (const b of SHARES)
      for (const c of SHARES) {
        if (costOf(0, a) + costOf(1, b) + costOf(2, c) !== costMs * 10) continue;
        const loads = a.map((own, j) => own + (b[j] ?? 0) + (c[j] ?? 0));
        found.set(loads.join(), loads);
      }
  return [...found.values()];
}

test('assignment: never above 245 ms for the column loads of any table that costs so much, 15 ms where that is the optimum', () => {
  const costs = columnLoads(245).map((loads) => assign([10, 10, 10], loads).costMs / 10);
  expect(costs.length).toBeGreaterThan(10);
  expect(costs.filter((cost) => cost > 245 + 1e-9)).toEqual([]);
  expect(costs.filter((cost) => Math.abs(cost - 15) < 1e-9).length).toBeGreaterThan(0);
});

test('response: 25, 25 and 50 ms when half of the tasks (α = 0.5) run at home and the others at the nearest peer', () => {
  const responses = [0, 1, 2].map((home) => {
    const demands = [0, 1, 2].map((i) => (i === home ? 1 : 0));
    return assign(
      demands,
      demands.map((demand) => (demand === 1 ? 0.5 : 1)),
    ).costMs;
  });
  expect(responses).toEqual([25, 25, 50]);
});
