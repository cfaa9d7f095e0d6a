import { assert } from '@meridian/failure';
import { type Column, Cycles } from './cycles.ts';
import type { Network } from './network.ts';
import { dearest, excessCostsMost, leftOf, type PricedFlow, type SideRows, type Start } from './side-rows.ts';
import { SpanningTree } from './spanning-tree.ts';
import { WorkingBasis } from './working-basis.ts';

const AT_LOWER = 1;
const BASIC = 0;
const AT_UPPER = -1;

/** Of the largest cost: what rounding leaves of a zero. */
const COST_TOLERANCE = 1e-12;
/** Smaller changes block nothing: dividing by them would amplify rounding. */
const CHANGE_MIN = 1e-9;
/** Rounding adds up in the working basis and the flows: they are made anew so often. */
const PIVOTS_PER_REFRESH = 64;
/** Far more than plans need; what is there by then may still exceed rows, and the lower bound says how good it is. */
const PIVOTS_PER_ARC_MAX = 16;
/** Pivots in a row that move nothing, after which the first candidates are taken (Bland), so that no cycle goes on. */
const STALLS_MAX = 256;
/** Pivots among the candidates of one look through a block: looking costs more than a pivot does. */
const PIVOTS_PER_LOOK_MAX = 20;
/** A unit of excess first costs this part of the dearest arc of the rows, and from round to round so many times more. */
const FIRST_PART = 0.02;
const RAISE = 3;
/** Bounds the rounds, however cheap the arcs are: ln 10⁹ ÷ ln 3 of them, 19. */
const FIRST_PART_OF_MOST = 1e-9;

/**
 * The primal network simplex with a working basis (Kennington, Helgason: "Algorithms for Network Programming", 1980, chapter
 * 7), for networks with side rows.
 *
 * 1. The basis is a spanning tree and, for each row, one column more: the row's slack, an arc outside of the tree, or what the
 *    flow takes too much of the row.
 * 2. Flows keep capacities at all times, but for what rounding leaves. What is too much in a row has a price, which an outer
 *    loop raises until there is nothing left of it.
 * 3. Deterministic: doubles in a fixed order, no randomness; of equal candidates the first counts.
 */
export class SideRowSimplex {
  readonly #network: Network;
  readonly #rows: SideRows;
  readonly #tree: SpanningTree;
  readonly #cycles: Cycles;
  readonly #basis: WorkingBasis;
  /** What is at each place of the working basis. */
  readonly #extras: Int32Array;
  readonly #state: Int8Array;
  readonly #flow: Float64Array;
  /** Slack of each row, then excess of each row. */
  readonly #rest: Float64Array;
  readonly #isRestBasic: Uint8Array;
  /** By row, of a unit of its excess, and where raising it ends. */
  readonly #excessCosts: Float64Array;
  readonly #excessCostsMost: Float64Array;
  readonly #potential: Float64Array;
  readonly #tolerance: number;
  readonly #blockArcs: number;
  #prices: Float64Array;
  #next = 0;
  #pivots = 0;
  #stalls = 0;
  #looked = 0;
  readonly #candidates: number[] = [];

  constructor(rows: SideRows, network: Network, { flow, tree, isFull }: Start) {
    const [count, size] = [network.cost.length, rows.limits.length];
    this.#network = network;
    this.#rows = rows;
    this.#tree = new SpanningTree(network, tree);
    this.#cycles = new Cycles(network, rows, this.#tree);
    this.#basis = new WorkingBasis(size);
    const left = leftOf(rows, flow);
    this.#extras = Int32Array.from(left, (each, row) => -1 - row - (each < 0 ? size : 0));
    this.#state = Int8Array.from(isFull, (full) => (full === 1 ? AT_UPPER : AT_LOWER));
    this.#flow = Float64Array.from(flow);
    this.#rest = new Float64Array(2 * size);
    this.#isRestBasic = new Uint8Array(2 * size);
    const first = FIRST_PART * dearest(rows, network);
    this.#excessCostsMost = excessCostsMost(rows, network);
    this.#excessCosts = this.#excessCostsMost.map((most) => Math.max(first, most * FIRST_PART_OF_MOST));
    this.#potential = new Float64Array(network.nodes);
    this.#prices = new Float64Array(size);
    this.#tolerance = network.cost.reduce((max, cost) => Math.max(max, cost), 0) * COST_TOLERANCE;
    this.#blockArcs = Math.max(16, Math.ceil(count / 3));
    for (let node = 0; node < network.nodes; node++)
      if (node !== network.root) this.#state[this.#tree.arc[node] as number] = BASIC;
    for (const column of this.#extras) this.#enter(column);
  }

  solve(): PricedFlow {
    const pivotsMax = 1_000 + this.#flow.length * PIVOTS_PER_ARC_MAX;
    this.#refresh();
    // What rounding has made of the prices may hide a gain: the last word is of fresh ones.
    for (let isFresh = true; this.#pivots < pivotsMax; ) {
      const entering = this.#entering();
      if (entering === undefined && isFresh && !this.#raise()) break;
      if (entering !== undefined) this.#pivot(entering);
      isFresh = entering === undefined || this.#pivots % PIVOTS_PER_REFRESH === 0;
      if (isFresh) this.#refresh();
      else this.#setPrices();
    }
    this.#refresh();
    const prices = this.#prices.map((price) => Math.max(0, price));
    return { flow: this.#flow, potential: this.#potential, prices, pivots: this.#pivots };
  }

  /** Makes what is too much in its row dearer, up to where giving it up is cheaper. @returns whether anything was. */
  #raise(): boolean {
    const size = this.#prices.length;
    let isRaised = false;
    for (const column of this.#extras) {
      if (column >= 0 || this.#isSlack(column)) continue;
      const row = (-1 - column) % size;
      const [cost, most] = [this.#excessCosts[row] as number, this.#excessCostsMost[row] as number];
      this.#excessCosts[row] = Math.min(most, cost * RAISE);
      isRaised ||= cost < most;
    }
    return isRaised;
  }

  /** The cost of an arc with the price of its row. */
  #priced(arc: number, prices: Float64Array): number {
    const row = this.#rows.row[arc] as number;
    const cost = this.#network.cost[arc] as number;
    return row < 0 ? cost : cost + (prices[row] as number) * (this.#rows.weight[arc] as number);
  }

  #reduced(arc: number): number {
    const { from, to } = this.#network;
    const drop = (this.#potential[from[arc] as number] as number) - (this.#potential[to[arc] as number] as number);
    return this.#priced(arc, this.#prices) + drop;
  }

  /** What improves most of the next block; after many pivots that moved nothing, the first of all. */
  #entering(): Column | undefined {
    const count = this.#flow.length;
    const takesFirst = this.#stalls > STALLS_MAX;
    let best: Column | undefined;
    let least = -this.#tolerance;
    for (let row = 0; row < this.#prices.length; row++) {
      if (this.#isRestBasic[row] === 1 || (this.#prices[row] as number) >= least) continue;
      [best, least] = [-1 - row, this.#prices[row] as number];
      if (takesFirst) return best;
    }
    if (best !== undefined) return best;
    if (!takesFirst && this.#looked++ < PIVOTS_PER_LOOK_MAX) {
      best = this.#bestCandidate();
      if (best !== undefined) return best;
    }
    this.#looked = 0;
    this.#candidates.length = 0;
    let arc = takesFirst ? 0 : this.#next;
    for (let seen = 1; seen <= count; seen++) {
      const state = this.#state[arc] as number;
      if (state !== BASIC) {
        const gain = state * this.#reduced(arc);
        if (gain < -this.#tolerance) {
          if (takesFirst) return arc;
          this.#candidates.push(arc);
          if (gain < least) [best, least] = [arc, gain];
        }
      }
      if (++arc === count) arc = 0;
      if (best === undefined || seen % this.#blockArcs > 0) continue;
      this.#next = arc;
      return best;
    }
    return best;
  }

  #bestCandidate(): Column | undefined {
    let best: Column | undefined;
    let least = -this.#tolerance;
    for (const arc of this.#candidates) {
      const gain = (this.#state[arc] as number) * this.#reduced(arc);
      if (gain < least) [best, least] = [arc, gain];
    }
    return best;
  }

  #pivot(entering: Column): void {
    const direction = entering >= 0 ? (this.#state[entering] as 1 | -1) : 1;
    const fall = this.#basis.times(this.#cycles.rowsOf(entering));
    const changes = this.#treeChanges(entering, fall);
    let step = entering >= 0 ? (this.#network.capacity[entering] as number) : Number.POSITIVE_INFINITY;
    let [cut, place, size] = [-1, -1, 0];
    const takesFirst = this.#stalls > STALLS_MAX;
    // Of equal ones the largest change: what is divided by stays far from rounding.
    const blocks = (column: Column, change: number) => {
      if (Math.abs(change) <= CHANGE_MIN) return false;
      const own = this.#room(column, change > 0) / Math.abs(change);
      if (!(own < step || (own === step && Math.abs(change) > size && !takesFirst))) return false;
      [step, size] = [own, Math.abs(change)];
      return true;
    };
    for (let i = 1; i < this.#cycles.order.length; i++) {
      const node = this.#cycles.order[i] as number;
      if (blocks(this.#tree.arc[node] as number, direction * (changes[node] as number))) cut = node;
    }
    for (let k = 0; k < fall.length; k++)
      if (blocks(this.#extras[k] as number, -direction * (fall[k] as number))) [cut, place] = [-1, k];
    assert(step < Number.POSITIVE_INFINITY, 'costs are not negative: no cycle gains for ever');
    this.#pivots++;
    this.#stalls = step > 0 ? 0 : this.#stalls + 1;
    this.#move(entering, direction * step, fall, changes);
    if (cut >= 0) this.#cutTree(cut, entering, direction * (changes[cut] as number) > 0, fall);
    else if (place >= 0) this.#leave(place, entering, -direction * (fall[place] as number) > 0, fall);
    else this.#settle(entering, direction > 0);
  }

  /** By node: how the flow of its tree arc changes with one unit of the column. */
  #treeChanges(entering: Column, fall: Float64Array): Float64Array {
    const excess = new Float64Array(this.#network.nodes);
    this.#cycles.flowOut(excess, entering, 1);
    for (let k = 0; k < fall.length; k++) this.#cycles.flowOut(excess, this.#extras[k] as number, -(fall[k] as number));
    return this.#cycles.gather(excess);
  }

  #room(column: Column, isGrowing: boolean): number {
    if (column < 0) return isGrowing ? Number.POSITIVE_INFINITY : Math.max(0, this.#rest[-1 - column] as number);
    const flow = this.#flow[column] as number;
    return Math.max(0, isGrowing ? (this.#network.capacity[column] as number) - flow : flow);
  }

  #move(entering: Column, amount: number, fall: Float64Array, changes: Float64Array): void {
    if (amount === 0) return;
    const add = (column: Column, change: number) => {
      if (column < 0) this.#rest[-1 - column] = (this.#rest[-1 - column] as number) + change;
      else this.#flow[column] = (this.#flow[column] as number) + change;
    };
    add(entering, amount);
    for (let k = 0; k < fall.length; k++) add(this.#extras[k] as number, -amount * (fall[k] as number));
    for (let i = 1; i < this.#cycles.order.length; i++) {
      const node = this.#cycles.order[i] as number;
      add(this.#tree.arc[node] as number, amount * (changes[node] as number));
    }
  }

  /** Out of the basis, exactly on its bound. */
  #settle(column: Column, isFull: boolean): void {
    if (column < 0) {
      this.#isRestBasic[-1 - column] = 0;
      this.#rest[-1 - column] = 0;
      return;
    }
    this.#state[column] = isFull ? AT_UPPER : AT_LOWER;
    this.#flow[column] = isFull ? (this.#network.capacity[column] as number) : 0;
  }

  #enter(column: Column): void {
    if (column < 0) this.#isRestBasic[-1 - column] = 1;
    else this.#state[column] = BASIC;
  }

  #leave(place: number, entering: Column, isFull: boolean, fall: Float64Array): void {
    this.#settle(this.#extras[place] as number, isFull);
    this.#basis.replace(place, fall);
    this.#extras[place] = entering;
    this.#enter(entering);
  }

  /** The tree arc above the node leaves: the entering column takes its place, or one of the working basis does. */
  #cutTree(cut: number, entering: Column, isFull: boolean, fall: Float64Array): void {
    const isBelow = this.#cycles.below(cut);
    const signs = Float64Array.from(this.#extras, (column) => this.#cycles.sign(column, cut, isBelow));
    const own = this.#cycles.sign(entering, cut, isBelow);
    this.#settle(this.#tree.arc[cut] as number, isFull);
    this.#enter(entering);
    if (own !== 0) {
      this.#basis.reroute(
        fall,
        signs.map((sign) => sign / own),
      );
      this.#hang(cut, entering, isBelow);
      return;
    }
    let place = -1;
    let through = 0;
    for (let k = 0; k < fall.length; k++) {
      if (signs[k] === 0) continue;
      through += (signs[k] as number) * (fall[k] as number);
      if (place < 0 || Math.abs(fall[k] as number) > Math.abs(fall[place] as number)) place = k;
    }
    this.#hang(cut, this.#extras[place] as number, isBelow);
    this.#basis.exchange(place, signs);
    fall[place] = through;
    this.#basis.replace(place, fall);
    this.#extras[place] = entering;
  }

  #hang(cut: number, arc: number, isBelow: Uint8Array): void {
    const [from, to] = [this.#network.from[arc] as number, this.#network.to[arc] as number];
    if (isBelow[from] === 1) this.#tree.replace(cut, arc, from, to);
    else this.#tree.replace(cut, arc, to, from);
    this.#cycles.order = this.#tree.order();
  }

  /** Working basis and flows anew from what is basic. */
  #refresh(): void {
    const columns = Array.from(this.#extras, (column) =>
      this.#isSlack(column) ? undefined : this.#cycles.rowsOf(column),
    );
    this.#sortSlacks(columns);
    const placed = this.#basis.rebuild(columns);
    this.#extras.set(placed.map((index) => this.#extras[index] as number));
    this.#fill();
    this.#setPrices();
  }

  /** Slacks to the places of their rows, where the working basis wants them. */
  #sortSlacks(columns: (Float64Array | undefined)[]): void {
    for (let place = 0; place < columns.length; ) {
      const own = this.#extras[place] as number;
      const home = -1 - own;
      if (!this.#isSlack(own) || home === place) {
        place++;
        continue;
      }
      [this.#extras[place], this.#extras[home]] = [this.#extras[home] as number, own];
      [columns[place], columns[home]] = [columns[home], columns[place]];
    }
  }

  #isSlack(column: Column): boolean {
    return column < 0 && -1 - column < this.#prices.length;
  }

  #fill(): void {
    const { supply, root } = this.#network;
    const fixed = Float64Array.from(supply);
    fixed[root] = 0;
    for (let arc = 0; arc < this.#flow.length; arc++)
      if (this.#state[arc] === AT_UPPER) this.#cycles.flowOut(fixed, arc, this.#flow[arc] as number);
    for (const column of this.#extras) if (column >= 0) this.#flow[column] = 0;
    this.#setTree(this.#cycles.gather(Float64Array.from(fixed)), Number.NEGATIVE_INFINITY);
    const left = Float64Array.from(this.#rows.limits);
    for (let arc = 0; arc < this.#flow.length; arc++) {
      const row = this.#rows.row[arc] as number;
      if (row >= 0)
        left[row] = (left[row] as number) - (this.#rows.weight[arc] as number) * (this.#flow[arc] as number);
    }
    for (const [place, value] of this.#basis.times(left).entries()) {
      const column = this.#extras[place] as number;
      if (column < 0) this.#rest[-1 - column] = Math.max(0, value);
      else {
        this.#flow[column] = Math.min(Math.max(0, value), this.#network.capacity[column] as number);
        this.#cycles.flowOut(fixed, column, this.#flow[column] as number);
      }
    }
    this.#setTree(this.#cycles.gather(fixed), 0);
  }

  #setTree(flows: Float64Array, least: number): void {
    for (let i = 1; i < this.#cycles.order.length; i++) {
      const node = this.#cycles.order[i] as number;
      this.#flow[this.#tree.arc[node] as number] = Math.max(least, flows[node] as number);
    }
  }

  /** Prices with which every column of the working basis gains nothing, and potentials that hold them. */
  #setPrices(): void {
    const { from, to, cost, root } = this.#network;
    const tree = this.#tree;
    const size = this.#prices.length;
    const around = Float64Array.from(this.#extras, (column) => {
      if (column < 0) return this.#isSlack(column) ? 0 : -(this.#excessCosts[(-1 - column) % size] as number);
      const drop =
        (tree.potential[from[column] as number] as number) - (tree.potential[to[column] as number] as number);
      return -((cost[column] as number) + drop);
    });
    this.#prices = this.#basis.combine(around);
    this.#potential[root] = 0;
    for (let i = 1; i < this.#cycles.order.length; i++) {
      const node = this.#cycles.order[i] as number;
      const priced = this.#priced(tree.arc[node] as number, this.#prices);
      const above = this.#potential[tree.parent[node] as number] as number;
      this.#potential[node] = above + (tree.isUpward(node) ? -priced : priced);
    }
  }
}
