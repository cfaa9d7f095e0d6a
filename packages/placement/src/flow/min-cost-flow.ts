import { assert } from '@meridian/failure';
import type { Network } from './network.ts';
import { SpanningTree } from './spanning-tree.ts';

/** An optimum, with its proof. */
export interface Flow {
  /** Of each arc. */
  readonly flow: Float64Array;
  /**
   * Of each node, the root's is 0: what one unit more at it would cost is −potential. For each arc, with
   * r = cost + potential[from] − potential[to]: r ≥ 0 where the flow is below the capacity, r ≤ 0 where it is above 0
   * (complementary slackness).
   */
  readonly potential: Float64Array;
  /** By node: its arc in the optimal tree; the root's is not read. */
  readonly tree: Int32Array;
  /** By arc: whether it is not in the tree and full. */
  readonly isFull: Uint8Array;
  readonly pivots: number;
}

const AT_LOWER = 1;
const IN_TREE = 0;
const AT_UPPER = -1;

/**
 * Reduced costs are sums of a few costs: what rounding leaves of a zero is below this part of the largest cost.
 * Larger calls worse flows optimal, smaller lets rounding choose arcs.
 */
const COST_TOLERANCE = 1e-12;
/** Far beyond what networks of 200 regions need; a bound in place of an endless loop. */
const PIVOTS_PER_ARC_MAX = 64;

/**
 * Minimum-cost flow by the primal network simplex with block search for the entering arc.
 *
 * Deterministic: additions, subtractions and comparisons of doubles in a fixed order, no randomness and no clock; the same
 * network gives the same bytes on every machine. The tree stays strongly feasible (Cunningham 1976), so degenerate pivots
 * do not cycle. Ahuja, Magnanti, Orlin: "Network Flows", chapter 11; block search as in LEMON's `NetworkSimplex`.
 *
 * @param arcs for each node but the root an arc that leads to, or to a node nearer to, the root, with room for all that
 *   comes in above it: the first feasible flow
 */
export function minCostFlow(network: Network, arcs: Int32Array): Flow {
  return new NetworkSimplex(network, arcs).solve();
}

class NetworkSimplex {
  readonly #network: Network;
  readonly #tree: SpanningTree;
  readonly #state: Int8Array;
  readonly #flow: Float64Array;
  readonly #tolerance: number;
  readonly #blockArcs: number;
  #nextArc = 0;

  constructor(network: Network, arcs: Int32Array) {
    const count = network.from.length;
    this.#network = network;
    this.#tree = new SpanningTree(network, arcs);
    this.#state = new Int8Array(count).fill(AT_LOWER);
    this.#flow = new Float64Array(count);
    this.#tolerance = network.cost.reduce((max, cost) => Math.max(max, cost), 0) * COST_TOLERANCE;
    this.#blockArcs = Math.max(16, Math.ceil(Math.sqrt(count)));
    for (let node = 0; node < network.nodes; node++)
      if (node !== network.root) this.#state[this.#tree.arc[node] as number] = IN_TREE;
    this.#fillTree();
  }

  solve(): Flow {
    const pivotsMax = 1_000 + this.#flow.length * PIVOTS_PER_ARC_MAX;
    let pivots = 0;
    for (let arc = this.#entering(); arc >= 0; arc = this.#entering()) {
      assert(++pivots <= pivotsMax, 'the simplex ends');
      this.#pivot(arc);
    }
    this.#fillTree();
    const isFull = Uint8Array.from(this.#state, (state) => (state === AT_UPPER ? 1 : 0));
    return { flow: this.#flow, potential: this.#tree.potential, tree: this.#tree.arc, isFull, pivots };
  }

  /** The arc of the next block that improves most; −1 when none of all does. */
  #entering(): number {
    const { from, to, cost } = this.#network;
    const { potential } = this.#tree;
    const count = cost.length;
    let best = -1;
    let least = -this.#tolerance;
    for (let seen = 1, arc = this.#nextArc; seen <= count; seen++) {
      const reduced =
        (cost[arc] as number) + (potential[from[arc] as number] as number) - (potential[to[arc] as number] as number);
      const gain = (this.#state[arc] as number) * reduced;
      if (gain < least) {
        least = gain;
        best = arc;
      }
      if (++arc === count) arc = 0;
      if (best >= 0 && seen % this.#blockArcs === 0) {
        this.#nextArc = arc;
        return best;
      }
    }
    return best;
  }

  /** Sends as much as possible around the cycle that the arc closes; what blocks last leaves the tree. */
  #pivot(entering: number): void {
    const { from, to, capacity } = this.#network;
    const tree = this.#tree;
    const isForward = this.#state[entering] === AT_LOWER;
    const first = (isForward ? from[entering] : to[entering]) as number;
    const second = (isForward ? to[entering] : from[entering]) as number;
    const join = tree.join(first, second);
    let amount = capacity[entering] as number;
    let cut = -1;
    let isBelowFirst = false;
    // The last that blocks, from the join along the cycle: `<` on the way down, `<=` on the way up.
    for (let node = first; node !== join; node = tree.parent[node] as number) {
      const room = this.#room(node, !tree.isUpward(node));
      if (room < amount) [amount, cut, isBelowFirst] = [room, node, true];
    }
    for (let node = second; node !== join; node = tree.parent[node] as number) {
      const room = this.#room(node, tree.isUpward(node));
      if (room <= amount) [amount, cut, isBelowFirst] = [room, node, false];
    }
    assert(amount < Number.POSITIVE_INFINITY, 'costs are not negative: no cycle gains for ever');
    if (amount > 0) this.#send(entering, isForward ? amount : -amount, first, second, join, amount);
    if (cut < 0) {
      this.#settle(entering, isForward);
      return;
    }
    const leaving = tree.arc[cut] as number;
    this.#settle(leaving, tree.isUpward(cut) !== isBelowFirst);
    this.#state[entering] = IN_TREE;
    tree.replace(cut, entering, isBelowFirst ? first : second, isBelowFirst ? second : first);
  }

  #send(entering: number, signed: number, first: number, second: number, join: number, amount: number): void {
    const tree = this.#tree;
    const flow = this.#flow;
    flow[entering] = (flow[entering] as number) + signed;
    for (let node = first; node !== join; node = tree.parent[node] as number) {
      const arc = tree.arc[node] as number;
      flow[arc] = (flow[arc] as number) + (tree.isUpward(node) ? -amount : amount);
    }
    for (let node = second; node !== join; node = tree.parent[node] as number) {
      const arc = tree.arc[node] as number;
      flow[arc] = (flow[arc] as number) + (tree.isUpward(node) ? amount : -amount);
    }
  }

  /** How much the flow of the node's tree arc can change. Never below 0, whatever rounding made of it. */
  #room(node: number, isGrowing: boolean): number {
    const arc = this.#tree.arc[node] as number;
    const flow = this.#flow[arc] as number;
    return Math.max(0, isGrowing ? (this.#network.capacity[arc] as number) - flow : flow);
  }

  /** Puts a leaving arc exactly on its bound. */
  #settle(arc: number, isFull: boolean): void {
    this.#state[arc] = isFull ? AT_UPPER : AT_LOWER;
    this.#flow[arc] = isFull ? (this.#network.capacity[arc] as number) : 0;
  }

  /** Flows of the tree from what comes in and the arcs outside of it: without what rounding added on the way. */
  #fillTree(): void {
    const { nodes, root, supply, from, to } = this.#network;
    const excess = Float64Array.from(supply);
    for (let arc = 0; arc < this.#flow.length; arc++) {
      if (this.#state[arc] !== AT_UPPER) continue;
      const [u, v] = [from[arc] as number, to[arc] as number];
      excess[u] = (excess[u] as number) - (this.#flow[arc] as number);
      excess[v] = (excess[v] as number) + (this.#flow[arc] as number);
    }
    const order = this.#tree.order();
    for (let i = nodes - 1; i >= 0; i--) {
      const node = order[i] as number;
      if (node === root) continue;
      const [arc, parent] = [this.#tree.arc[node] as number, this.#tree.parent[node] as number];
      const up = excess[node] as number;
      this.#flow[arc] = Math.max(0, this.#tree.isUpward(node) ? up : -up);
      excess[parent] = (excess[parent] as number) + up;
    }
  }
}
