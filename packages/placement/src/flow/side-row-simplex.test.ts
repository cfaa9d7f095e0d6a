import { describe, expect, test } from '@jest/globals';
import { type Random, seededRandom } from '@meridian/runtime';
import { leastOf, programOfNetwork } from './linear-program.fixture.ts';
import { minCostFlow } from './min-cost-flow.ts';
import { type Network, NetworkBuilder } from './network.ts';
import { SideRowSimplex } from './side-row-simplex.ts';
import { firstStart, isWithin, leftOf, lowerBound, type PricedFlow, type SideRows } from './side-rows.ts';

/**
 * Goal: the optimum within the rows, proven by prices and potentials and by an LP package. Method: random networks like those
 * of plans, every second one of small whole numbers, so that most of its pivots are degenerate; from the flow without rows,
 * which breaks them, and from nothing.
 */
interface Case {
  readonly network: Network;
  readonly rows: SideRows;
  readonly first: Int32Array;
}

function caseOf(seed: number): Case {
  const random = seededRandom(seed);
  const amount =
    seed % 2 === 0 ? (max: number) => random.int(Math.ceil(max) + 1) : (max: number) => max * random.next();
  const builder = new NetworkBuilder();
  const root = builder.node();
  const first = [-1];
  const regions = Array.from({ length: 1 + random.int(8) }, () => {
    const node = builder.node();
    const arcs = [1, 2, 3].map((piece) => builder.arc(node, root, piece * (1 + amount(4)), amount(8)));
    first[node] = arcs[0] as number;
    return node;
  });
  const [rowOf, weightOf]: [number[], number[]] = [[], []];
  for (let i = 0; i < 2 + random.int(12); i++) {
    const node = builder.node(amount(6));
    first[node] = builder.arc(node, root, 200);
    for (const [j, region] of regions.entries()) {
      if (random.int(5) === 0) continue;
      const arc = builder.arc(node, region, amount(20));
      if (random.int(4) > 0) [rowOf[arc], weightOf[arc]] = [j, weight(seed, random)];
    }
  }
  const network = builder.build(root);
  const row = Int32Array.from(network.cost, (_, arc) => rowOf[arc] ?? -1);
  const weights = Float64Array.from(network.cost, (_, arc) => weightOf[arc] ?? 0);
  const limits = Float64Array.from(regions, () => 0.25 + amount(5));
  return { network, rows: { limits, row, weight: weights }, first: Int32Array.from(first) };
}

function weight(seed: number, random: Random): number {
  return seed % 2 === 0 ? (1 + random.int(4)) / 4 : 0.01 + 0.99 * random.next();
}

const costOf = ({ cost }: Network, { flow }: PricedFlow) =>
  flow.reduce((sum, each, arc) => sum + each * (cost[arc] ?? 0), 0);

function optimumOf({ network, rows }: Case): number {
  const { variables, rows: balances } = programOfNetwork(network);
  const bounds = [...rows.limits].map((limit) => ({ kind: '<=' as const, limit }));
  const within = variables.map((each, arc) => {
    const row = rows.row[arc] ?? -1;
    const use = [balances.length + row, rows.weight[arc] ?? 0] as const;
    return row < 0 ? each : { ...each, uses: [...each.uses, use] };
  });
  return leastOf({ variables: within, rows: [...balances, ...bounds] });
}

function expectProven({ network, rows }: Case, solved: PricedFlow): void {
  const { flow, prices, potential } = solved;
  expect(isWithin(rows, flow)).toBe(true);
  for (const [row, left] of leftOf(rows, flow).entries())
    if (left > 1e-6) expect(prices[row]).toBeLessThanOrEqual(1e-6);
  const excess = Float64Array.from(network.supply);
  for (const [arc, each] of flow.entries()) {
    const [u, v, own] = [network.from[arc] ?? 0, network.to[arc] ?? 0, rows.row[arc] ?? -1];
    const capacity = network.capacity[arc] ?? 0;
    expect(each).toBeGreaterThanOrEqual(0);
    expect(each).toBeLessThanOrEqual(capacity + 1e-9);
    excess[u] = (excess[u] ?? 0) - each;
    excess[v] = (excess[v] ?? 0) + each;
    const priced = (network.cost[arc] ?? 0) + (own < 0 ? 0 : (prices[own] ?? 0) * (rows.weight[arc] ?? 0));
    const reduced = priced + (potential[u] ?? 0) - (potential[v] ?? 0);
    if (each < capacity - 1e-6) expect(reduced).toBeGreaterThanOrEqual(-1e-6);
    if (each > 1e-6) expect(reduced).toBeLessThanOrEqual(1e-6);
  }
  for (const [node, left] of excess.entries()) if (node !== network.root) expect(Math.abs(left)).toBeLessThan(1e-8);
}

describe('SideRowSimplex', () => {
  test('is the optimum of the LP package, and proves it, from either start', () => {
    let bound = 0;
    for (let seed = 1; seed <= 200; seed++) {
      const own = caseOf(seed);
      const { network, rows, first } = own;
      const optimum = optimumOf(own);
      const free = minCostFlow(network, first);
      if (!isWithin(rows, free.flow)) bound++;
      for (const start of [free, firstStart(network, first)]) {
        const solved = new SideRowSimplex(rows, network, start).solve();
        expectProven(own, solved);
        const tolerance = 1e-7 * Math.max(1, optimum);
        expect(Math.abs(costOf(network, solved) - optimum)).toBeLessThanOrEqual(tolerance);
        expect(Math.abs(lowerBound(rows, network, solved) - optimum)).toBeLessThanOrEqual(tolerance);
      }
    }
    expect(bound).toBeGreaterThan(80);
  });

  test('the lower bound holds whatever the prices and potentials are', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const own = caseOf(seed);
      const random = seededRandom(seed);
      const { network, rows, first } = own;
      const solved = new SideRowSimplex(rows, network, firstStart(network, first)).solve();
      const potential = solved.potential.map((each, node) => (node === network.root ? 0 : each + random.next() - 0.5));
      const prices = solved.prices.map((each) => each + random.next());
      const bound = lowerBound(rows, network, { ...solved, potential, prices });
      expect(bound).toBeLessThanOrEqual(costOf(network, solved) + 1e-6);
    }
  });
});
