import type { Network } from './network.ts';
import type { SideRows } from './side-rows.ts';
import type { SpanningTree } from './spanning-tree.ts';

/** A number of an arc; −1 − row for a row's slack; −1 − rows − row for what exceeds it. */
export type Column = number;

/** What goes around when a column outside of a spanning tree comes in: along its arc, and back through the tree. */
export class Cycles {
  /** Nodes of the tree, parents first: to be set anew after each change of it. */
  order: Int32Array;
  readonly #network: Network;
  readonly #rows: SideRows;
  readonly #tree: SpanningTree;

  constructor(network: Network, rows: SideRows, tree: SpanningTree) {
    this.#network = network;
    this.#rows = rows;
    this.#tree = tree;
    this.order = tree.order();
  }

  /** Side rows of what goes around when one unit of the column comes in: along its arc and back through the tree. */
  rowsOf(column: Column): Float64Array {
    const size = this.#rows.limits.length;
    const rows = new Float64Array(size);
    if (column < 0) {
      const index = -1 - column;
      rows[index % size] = index < size ? 1 : -1;
      return rows;
    }
    const add = (arc: number, amount: number) => {
      const row = this.#rows.row[arc] as number;
      if (row >= 0) rows[row] = (rows[row] as number) + amount * (this.#rows.weight[arc] as number);
    };
    const tree = this.#tree;
    const [from, to] = [this.#network.from[column] as number, this.#network.to[column] as number];
    const join = tree.join(from, to);
    add(column, 1);
    for (let node = to; node !== join; node = tree.parent[node] as number)
      add(tree.arc[node] as number, tree.isUpward(node) ? 1 : -1);
    for (let node = from; node !== join; node = tree.parent[node] as number)
      add(tree.arc[node] as number, tree.isUpward(node) ? -1 : 1);
    return rows;
  }

  /** Takes the amount out of where the column's arc begins, and adds it where that ends. */
  flowOut(excess: Float64Array, column: Column, amount: number): void {
    if (column < 0 || amount === 0) return;
    const [from, to] = [this.#network.from[column] as number, this.#network.to[column] as number];
    excess[from] = (excess[from] as number) - amount;
    excess[to] = (excess[to] as number) + amount;
  }

  /** By node: the flow on its tree arc that takes all excess to the root; in place. */
  gather(excess: Float64Array): Float64Array {
    const tree = this.#tree;
    for (let i = this.order.length - 1; i > 0; i--) {
      const node = this.order[i] as number;
      const parent = tree.parent[node] as number;
      const up = excess[node] as number;
      excess[parent] = (excess[parent] as number) + up;
      excess[node] = tree.isUpward(node) ? up : -up;
    }
    return excess;
  }

  /** 1 for each node of the subtree. */
  below(cut: number): Uint8Array {
    const isBelow = new Uint8Array(this.#network.nodes);
    isBelow[cut] = 1;
    for (let i = 1; i < this.order.length; i++) {
      const node = this.order[i] as number;
      if (isBelow[this.#tree.parent[node] as number] === 1) isBelow[node] = 1;
    }
    return isBelow;
  }

  /** How the arc above the node is used by the cycle of the column: 1, −1, or 0 when it is not in it. */
  sign(column: Column, cut: number, isBelow: Uint8Array): number {
    if (column < 0) return 0;
    const [from, to] = [this.#network.from[column] as number, this.#network.to[column] as number];
    const upward = (isBelow[to] as number) - (isBelow[from] as number);
    return this.#tree.isUpward(cut) ? upward : -upward;
  }
}
