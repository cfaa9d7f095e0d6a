import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { optimumOf } from './linear-program.fixture.ts';
import { type Flow, minCostFlow } from './min-cost-flow.ts';
import { type Network, NetworkBuilder } from './network.ts';

/**
 * Goal: the optimum, proven by its potentials and by an LP package that shares nothing with it. Method: random networks of
 * the kind that placement has: sources, regions with convex steps, a way out for what finds no room.
 */
/** Fixed: the text of a linear program is not meant for every double there is. */
const SEED = 20_261_201;

interface Shape {
  readonly supplies: readonly number[];
  /** Capacity of each step of each region; costs rise by `rises`. */
  readonly steps: readonly (readonly number[])[];
  readonly rises: readonly (readonly number[])[];
  /** By source, then region; undefined: forbidden. */
  readonly costs: readonly (readonly (number | undefined)[])[];
  readonly shedCost: number;
}

const amount = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.double({ min: 0, max: 20, noNaN: true }));
const cost = fc.oneof(fc.integer({ min: 0, max: 50 }), fc.double({ min: 0, max: 50, noNaN: true }));

const shapes: fc.Arbitrary<Shape> = fc
  .tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 4 }))
  .chain(([sources, regions, pieces]) =>
    fc.record({
      supplies: fc.array(amount, { minLength: sources, maxLength: sources }),
      steps: matrix(amount, regions, pieces),
      rises: matrix(cost, regions, pieces),
      costs: matrix(fc.option(cost, { nil: undefined, freq: 4 }), sources, regions),
      shedCost: fc.integer({ min: 0, max: 1_000 }),
    }),
  );

function matrix<T>(item: fc.Arbitrary<T>, rows: number, columns: number): fc.Arbitrary<T[][]> {
  const row = fc.array(item, { minLength: columns, maxLength: columns });
  return fc.array(row, { minLength: rows, maxLength: rows });
}

function networkOf({ supplies, steps, rises, costs, shedCost }: Shape): { network: Network; arcs: Int32Array } {
  const builder = new NetworkBuilder();
  const root = builder.node();
  const first = [-1];
  const regions = steps.map((pieces, j) => {
    const node = builder.node();
    let total = 0;
    for (const [k, capacity] of pieces.entries()) {
      total += rises[j]?.[k] ?? 0;
      const arc = builder.arc(node, root, total, capacity);
      first[node] ??= arc;
    }
    return node;
  });
  for (const [i, supply] of supplies.entries()) {
    const node = builder.node(supply);
    first[node] = builder.arc(node, root, shedCost);
    for (const [j, region] of regions.entries()) {
      const each = costs[i]?.[j];
      if (each !== undefined) builder.arc(node, region, each);
    }
  }
  return { network: builder.build(root), arcs: Int32Array.from(first) };
}

function costOf({ cost: costs }: Network, { flow }: Flow): number {
  return flow.reduce((sum, each, arc) => sum + each * (costs[arc] ?? 0), 0);
}

function expectProven(
  { nodes, root, supply, from, to, capacity, cost: costs }: Network,
  { flow, potential }: Flow,
): void {
  const left = Float64Array.from(supply);
  for (const [arc, each] of flow.entries()) {
    const [u, v, bound] = [from[arc] ?? 0, to[arc] ?? 0, capacity[arc] ?? 0];
    expect(each).toBeGreaterThanOrEqual(0);
    expect(each).toBeLessThanOrEqual(bound + 1e-9);
    left[u] = (left[u] ?? 0) - each;
    left[v] = (left[v] ?? 0) + each;
    const reduced = (costs[arc] ?? 0) + (potential[u] ?? 0) - (potential[v] ?? 0);
    if (each < bound - 1e-9) expect(reduced).toBeGreaterThanOrEqual(-1e-9);
    if (each > 1e-9) expect(reduced).toBeLessThanOrEqual(1e-9);
  }
  for (let node = 0; node < nodes; node++) if (node !== root) expect(Math.abs(left[node] ?? 0)).toBeLessThan(1e-9);
}

/** 0 and −0 differ in them. */
function bytesOf(values: Float64Array | undefined): string {
  return Buffer.from(new Uint8Array(values?.buffer ?? new ArrayBuffer(0))).toString('hex');
}

describe('minCostFlow', () => {
  test('is the optimum of the LP package, and proves it', () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const { network, arcs } = networkOf(shape);
        const flow = minCostFlow(network, arcs);
        expectProven(network, flow);
        const optimum = optimumOf(network);
        expect(Math.abs(costOf(network, flow) - optimum)).toBeLessThanOrEqual(1e-6 * Math.max(1, optimum));
      }),
      { numRuns: 300, seed: SEED },
    );
  });

  test('gives the same bytes for the same network', () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const [a, b] = [networkOf(shape), networkOf(shape)].map(({ network, arcs }) => minCostFlow(network, arcs));
        expect(bytesOf(a?.flow)).toBe(bytesOf(b?.flow));
        expect(bytesOf(a?.potential)).toBe(bytesOf(b?.potential));
      }),
      { numRuns: 50, seed: SEED },
    );
  });
});
