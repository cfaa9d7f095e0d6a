import { type Column, PrimalSimplex, type Program, reducedCost, type Solution } from '../program/primal-simplex.ts';
import { bytesPerSecond, type PlanNetwork, piecesOf } from './plan-network.ts';
import type { PlanRegion } from './problem.ts';

/** A flow of the plan's network within the bounds of bytes, and what proves how good it is. */
export interface SolvedFlow {
  /** Of each arc of a lane and each arc of what is given up; others are not read. */
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

/** Where load ends at some level of a region's waiting curve. */
interface Level {
  readonly load: number;
  readonly cost: number;
}

/** A row of which the columns are a mixture: their sum is at most the limit. */
interface Mixture {
  readonly row: number;
  readonly columns: number[];
}

/** A region's load may exceed its levels by this part: rows of which all have the limit 0 make the simplex stall. */
const SLACK = 1e-10;

/**
 * Remote bytes as rows beside the flow, where they are no arcs of it: the model as a linear program. Sources, regions and
 * bytes are rows, lanes are columns; waiting is a mixture of the levels of each region's curve.
 *
 * 1. What is returned keeps all bounds, whatever step the simplex ends with.
 * 2. The lower bound comes from the duals alone: no column improves by more than its reduced cost.
 */
export function solveMixedPayloads(plan: PlanNetwork, regions: readonly PlanRegion[], variation: number): SolvedFlow {
  return new MixedPayloads(plan, regions, variation).solve();
}

class MixedPayloads {
  readonly #plan: PlanNetwork;
  readonly #regions: readonly PlanRegion[];
  readonly #limits: number[] = [];
  readonly #ownCosts: number[] = [];
  readonly #columns: Column[] = [];
  readonly #loadRows: number[] = [];
  readonly #byteRows: number[] = [];
  readonly #firstLane: number;
  readonly #mixed: Mixture[] = [];

  constructor(plan: PlanNetwork, regions: readonly PlanRegion[], variation: number) {
    this.#plan = plan;
    this.#regions = regions;
    for (const { node, cost } of plan.shed)
      this.#mixed.push({ row: this.#row(plan.network.supply[node] as number, cost), columns: [] });
    for (const region of regions) this.#addRegion(region, variation);
    this.#firstLane = this.#columns.length;
    this.#addLanes();
  }

  solve(): SolvedFlow {
    const program: Program = {
      limits: Float64Array.from(this.#limits),
      ownCosts: Float64Array.from(this.#ownCosts),
      columns: this.#columns,
    };
    const solution = new PrimalSimplex(program).solve();
    const flow = new Float64Array(this.#plan.network.cost.length);
    for (const [k, { arc }] of this.#plan.lanes.entries()) flow[arc] = solution.values[this.#firstLane + k] as number;
    for (const [i, { arc }] of this.#plan.shed.entries()) flow[arc] = solution.ownValues[i] as number;
    const prices = Float64Array.from(this.#loadRows, (row) => Math.max(0, -(solution.duals[row] as number)));
    const bytePrices = Float64Array.from(this.#regions, (region, j) => {
      const row = this.#byteRows[j] as number;
      return row < 0 ? 0 : Math.max(0, -(solution.duals[row] as number)) / bytesPerSecond(region);
    });
    return { flow, prices, bytePrices, costMs: this.#costOf(solution), lowerBoundMs: this.#lowerBound(solution) };
  }

  #row(limit: number, ownCost: number): number {
    this.#ownCosts.push(ownCost);
    return this.#limits.push(limit) - 1;
  }

  #addRegion(region: PlanRegion, variation: number): void {
    const load = this.#row(region.capacity * SLACK * (1 + this.#loadRows.length / this.#regions.length), 0);
    this.#loadRows.push(load);
    // What is left of the mixture is the level 0.
    const mixture = this.#row(1, 0);
    const columns: number[] = [];
    for (const { load: most, cost } of levelsOf(region, variation))
      columns.push(this.#columns.push({ cost, rows: [load, mixture], amounts: [-most, 1] }) - 1);
    this.#mixed.push({ row: mixture, columns });
    const isBounded = region.bandwidthMbps > 0 && region.bandwidthMbps < Number.POSITIVE_INFINITY;
    this.#byteRows.push(isBounded ? this.#row(1, 0) : -1);
  }

  /** Lanes of a source come one after the other, in the order of the sources. */
  #addLanes(): void {
    const { network, lanes, shed } = this.#plan;
    let i = 0;
    for (const lane of lanes) {
      const { region, remoteBytes, arc } = lane;
      while (network.from[arc] !== shed[i]?.node) i++;
      const { row: source, columns } = this.#mixed[i] as Mixture;
      const [rows, amounts] = [
        [source, this.#loadRows[region] as number],
        [1, 1],
      ];
      const bytes = this.#byteRows[region] as number;
      if (bytes >= 0 && remoteBytes > 0) {
        rows.push(bytes);
        amounts.push(remoteBytes / bytesPerSecond(this.#regions[region] as PlanRegion));
      }
      columns.push(this.#columns.push({ cost: network.cost[arc] as number, rows, amounts }) - 1);
    }
  }

  #costOf({ values, ownValues }: Solution): number {
    const columns = values.reduce((sum, value, k) => sum + value * (this.#columns[k] as Column).cost, 0);
    return ownValues.reduce((sum, value, row) => sum + value * (this.#ownCosts[row] as number), columns);
  }

  /** Duals of rows that are bounds must not be positive; each mixture may yet gain what its best column promises. */
  #lowerBound({ duals }: Solution): number {
    const safe = duals.map((dual, row) => Math.min(dual, this.#ownCosts[row] as number));
    let bound = this.#limits.reduce((sum, limit, row) => sum + limit * (safe[row] as number), 0);
    for (const { row, columns } of this.#mixed) {
      const least = columns.reduce((min, k) => Math.min(min, reducedCost(this.#columns[k] as Column, safe)), 0);
      bound += least * (this.#limits[row] as number);
    }
    return bound;
  }
}

function levelsOf(region: PlanRegion, variation: number): Level[] {
  if (region.capacity <= 0) return [];
  let [load, cost] = [0, 0];
  return piecesOf(region, variation).map(({ width, slope }) => {
    load += width;
    cost += width * slope;
    return { load, cost };
  });
}
