import { SideRowSimplex } from '../flow/side-row-simplex.ts';
import { firstStart, isWithin, lowerBound, type PricedFlow, type SideRows, type Start } from '../flow/side-rows.ts';
import { bytesPerSecond, type PlanNetwork } from './plan-network.ts';
import type { PlanRegion } from './problem.ts';

/** A flow of the plan's network within the bounds of bytes, and what proves how good it is. */
export interface SolvedFlow {
  readonly flow: Float64Array;
  /** By region: what one worker-second a second more there would cost all, ms. */
  readonly prices: Float64Array;
  /** By region: milliseconds that one byte a second more into it would save. */
  readonly bytePrices: Float64Array;
  /** Of the flow, in the model's pieces, with what is given up, ms. */
  readonly costMs: number;
  /** No plan costs less. */
  readonly lowerBoundMs: number;
}

/**
 * Where remote bytes are no arcs of the network: as rows beside it, one for each region with a bound.
 * @param start the optimal flow without these bounds
 */
export function solveMixedPayloads(plan: PlanNetwork, regions: readonly PlanRegion[], start: Start): SolvedFlow {
  const { rows, rowOf, bytesOf } = byteRows(plan, regions);
  const solved = solveWithin(rows, plan, start);
  const { flow, potential, prices } = solved;
  const bytePrices = Float64Array.from(rowOf, (row) =>
    row < 0 ? 0 : (prices[row] as number) / (bytesOf[row] as number),
  );
  const loadPrices = Float64Array.from(plan.regionNodes, (node) => Math.max(0, -(potential[node] as number)));
  const costMs = flow.reduce((sum, each, arc) => sum + each * (plan.network.cost[arc] as number), 0);
  return { flow, prices: loadPrices, bytePrices, costMs, lowerBoundMs: lowerBound(rows, plan.network, solved) };
}

/** From the start, which is near the optimum and breaks rows; from nothing, which keeps them, should that not end well. */
function solveWithin(rows: SideRows, { network, firstTree }: PlanNetwork, start: Start): PricedFlow {
  const solved = new SideRowSimplex(rows, network, start).solve();
  if (isWithin(rows, solved.flow)) return solved;
  return new SideRowSimplex(rows, network, firstStart(network, firstTree)).solve();
}

interface ByteRows {
  readonly rows: SideRows;
  /** By region; −1 without a bound. */
  readonly rowOf: Int32Array;
  /** By row: bytes of one unit of it. */
  readonly bytesOf: readonly number[];
}

/** A unit of a row is a worker-second of the source that needs most bytes for it: weights are near 1, prices like costs. */
function byteRows({ network, lanes }: PlanNetwork, regions: readonly PlanRegion[]): ByteRows {
  const most = new Float64Array(regions.length);
  for (const { region, remoteBytes } of lanes) most[region] = Math.max(most[region] as number, remoteBytes);
  const bytesOf: number[] = [];
  const limits: number[] = [];
  const rowOf = Int32Array.from(regions, (region, j) => {
    if (region.bandwidthMbps === Number.POSITIVE_INFINITY || most[j] === 0) return -1;
    limits.push(bytesPerSecond(region) / (most[j] as number));
    return bytesOf.push(most[j] as number) - 1;
  });
  const row = new Int32Array(network.cost.length).fill(-1);
  const weight = new Float64Array(network.cost.length);
  for (const { region, remoteBytes, arc } of lanes) {
    if (rowOf[region] === -1 || remoteBytes === 0) continue;
    row[arc] = rowOf[region] as number;
    weight[arc] = remoteBytes / (most[region] as number);
  }
  return { rows: { limits: Float64Array.from(limits), row, weight }, rowOf, bytesOf };
}
