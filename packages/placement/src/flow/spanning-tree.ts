import { assert } from '@meridian/failure';
import type { Network } from './network.ts';

/** Of the root. */
export const NONE = -1;

/**
 * A spanning tree of a network, hung up at its root, with the potentials that make the reduced cost of all its arcs zero.
 *
 * 1. Every node but the root has one arc to its parent; `depth` is one more than the parent's.
 * 2. `potential[root]` is 0, and for each tree arc a: cost(a) + potential[from] − potential[to] = 0.
 * 3. Children are listed in the order in which they were hung up, so that the same network gives the same tree.
 */
export class SpanningTree {
  readonly parent: Int32Array;
  /** Arc to the parent. */
  readonly arc: Int32Array;
  readonly depth: Int32Array;
  readonly potential: Float64Array;
  readonly #network: Network;
  readonly #firstChild: Int32Array;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #stack: Int32Array;

  /** @param arcs for each node an arc between it and a node that is nearer to the root; the root's is not read */
  constructor(network: Network, arcs: Int32Array) {
    const { nodes } = network;
    this.#network = network;
    this.parent = new Int32Array(nodes).fill(NONE);
    this.arc = Int32Array.from(arcs);
    this.depth = new Int32Array(nodes);
    this.potential = new Float64Array(nodes);
    this.#firstChild = new Int32Array(nodes).fill(NONE);
    this.#next = new Int32Array(nodes).fill(NONE);
    this.#previous = new Int32Array(nodes).fill(NONE);
    this.#stack = new Int32Array(nodes);
    this.arc[network.root] = NONE;
    for (let node = nodes - 1; node >= 0; node--) if (node !== network.root) this.#hang(node, this.#otherEnd(node));
    const reached = this.#refresh(network.root);
    assert(reached === nodes, 'the initial arcs are a tree');
  }

  /** Whether the arc to the parent leads there. */
  isUpward(node: number): boolean {
    return this.#network.from[this.arc[node] as number] === node;
  }

  /** Where the ways of the two nodes to the root meet. */
  join(a: number, b: number): number {
    let [u, v] = [a, b];
    while (u !== v) {
      if ((this.depth[u] as number) >= (this.depth[v] as number)) u = this.parent[u] as number;
      else v = this.parent[v] as number;
    }
    return u;
  }

  /**
   * Takes the arc of `cut` out and the arc `entering` in, which joins `inner`, a node below the cut, with `outer`, one that
   * is not.
   */
  replace(cut: number, entering: number, inner: number, outer: number): void {
    let node = inner;
    let [newParent, newArc] = [outer, entering];
    for (;;) {
      const [oldParent, oldArc] = [this.parent[node] as number, this.arc[node] as number];
      this.#takeDown(node, oldParent);
      this.arc[node] = newArc;
      this.#hang(node, newParent);
      if (node === cut) break;
      [newParent, newArc] = [node, oldArc];
      node = oldParent;
    }
    this.#refresh(inner);
  }

  /** Nodes, parents before their children; valid until the next call. */
  order(): Int32Array {
    const order = new Int32Array(this.#network.nodes);
    let end = 1;
    order[0] = this.#network.root;
    for (let i = 0; i < end; i++)
      for (
        let child = this.#firstChild[order[i] as number] as number;
        child !== NONE;
        child = this.#next[child] as number
      )
        order[end++] = child;
    return order;
  }

  /** Depths and potentials of the node and what hangs at it, from its parent's. @returns how many they are. */
  #refresh(top: number): number {
    const stack = this.#stack;
    let size = 1;
    let reached = 0;
    stack[0] = top;
    while (size > 0) {
      const node = stack[--size] as number;
      reached++;
      const parent = this.parent[node] as number;
      if (parent !== NONE) {
        const cost = this.#network.cost[this.arc[node] as number] as number;
        this.depth[node] = (this.depth[parent] as number) + 1;
        this.potential[node] = (this.potential[parent] as number) + (this.isUpward(node) ? -cost : cost);
      }
      for (let child = this.#firstChild[node] as number; child !== NONE; child = this.#next[child] as number)
        stack[size++] = child;
    }
    return reached;
  }

  #hang(node: number, parent: number): void {
    const first = this.#firstChild[parent] as number;
    this.parent[node] = parent;
    this.#previous[node] = NONE;
    this.#next[node] = first;
    if (first !== NONE) this.#previous[first] = node;
    this.#firstChild[parent] = node;
  }

  #takeDown(node: number, parent: number): void {
    const [previous, next] = [this.#previous[node] as number, this.#next[node] as number];
    if (previous === NONE) this.#firstChild[parent] = next;
    else this.#next[previous] = next;
    if (next !== NONE) this.#previous[next] = previous;
  }

  #otherEnd(node: number): number {
    const { from, to } = this.#network;
    const arc = this.arc[node] as number;
    return (from[arc] === node ? to[arc] : from[arc]) as number;
  }
}
