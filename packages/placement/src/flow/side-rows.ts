import type { Flow } from './min-cost-flow.ts';
import type { Network } from './network.ts';

/** Rows beside a network: in each, Σ weight · flow over its arcs is at most the limit. An arc is in one row at most. */
export interface SideRows {
  /** Over 0. */
  readonly limits: Float64Array;
  /** By arc; −1 for none. */
  readonly row: Int32Array;
  /** By arc, over 0 where it has a row. Rows whose weights are near 1 keep rounding small. */
  readonly weight: Float64Array;
}

/** A flow as the simplex of a network leaves it. */
export type Start = Pick<Flow, 'flow' | 'tree' | 'isFull'>;

export interface PricedFlow {
  readonly flow: Float64Array;
  /** As in `Flow`, with costs that hold the prices of the rows. */
  readonly potential: Float64Array;
  /** By row, ≥ 0: what one unit more of the limit would save. 0 where the row is not full. */
  readonly prices: Float64Array;
  readonly pivots: number;
}

/** Rows may be exceeded by this part of their limit: what rounding leaves. */
const ROW_TOLERANCE = 1e-9;

/** The flow at the start of all: everything on the arcs of the first tree. */
export function firstStart({ cost }: Network, tree: Int32Array): Start {
  return { flow: new Float64Array(cost.length), tree, isFull: new Uint8Array(cost.length) };
}

/** Whether the flow keeps all rows. */
export function isWithin(rows: SideRows, flow: Float64Array): boolean {
  return leftOf(rows, flow).every((left, row) => left >= -ROW_TOLERANCE * (rows.limits[row] as number));
}

/** By row: what of the limit the flow leaves; below 0 where it takes more. */
export function leftOf({ limits, row, weight }: SideRows, flow: Float64Array): Float64Array {
  const left = Float64Array.from(limits);
  for (let arc = 0; arc < flow.length; arc++) {
    const own = row[arc] as number;
    if (own >= 0) left[own] = (left[own] as number) - (weight[arc] as number) * (flow[arc] as number);
  }
  return left;
}

/**
 * No flow within the rows costs less, whatever the potentials and prices are: each arc costs at least what they say, and yet
 * gains what it may carry. Networks of plans have no cycles, and no arcs into nodes that have a supply.
 */
export function lowerBound(rows: SideRows, network: Network, { potential, prices }: PricedFlow): number {
  const { supply, root, from, to, capacity, cost } = network;
  const all = supply.reduce((sum, amount, node) => (node === root ? sum : sum + amount), 0);
  let bound = 0;
  for (const [row, price] of prices.entries()) bound -= price * (rows.limits[row] as number);
  for (const [node, amount] of supply.entries()) if (node !== root) bound -= amount * (potential[node] as number);
  for (let arc = 0; arc < cost.length; arc++) {
    const [u, v, row] = [from[arc] as number, to[arc] as number, rows.row[arc] as number];
    const priced = (cost[arc] as number) + (row < 0 ? 0 : (prices[row] as number) * (rows.weight[arc] as number));
    const reduced = priced + (potential[u] as number) - (potential[v] as number);
    if (reduced >= 0) continue;
    // Nothing comes into a source but its supply, and nothing goes around.
    const comes = (supply[u] as number) > 0 ? (supply[u] as number) : all;
    bound += reduced * Math.min(capacity[arc] as number, comes);
  }
  return bound;
}

/** Of the arcs of all rows. */
export function dearest({ row }: SideRows, { cost }: Network): number {
  return row.reduce((most, own, arc) => (own < 0 ? most : Math.max(most, cost[arc] as number)), 0);
}

/** By row, for a unit of it: more than what the dearest arc of all costs for whichever arc of the row. */
export function excessCostsMost({ limits, row, weight }: SideRows, { cost }: Network): Float64Array {
  const lightest = new Float64Array(limits.length).fill(1);
  for (const [arc, own] of row.entries())
    if (own >= 0) lightest[own] = Math.min(lightest[own] as number, weight[arc] as number);
  const highest = cost.reduce((max, each) => Math.max(max, each), 0);
  return lightest.map((each) => (2 * highest) / each);
}
