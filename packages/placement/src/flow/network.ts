/**
 * A network for {@link minCostFlow}: nodes by number, arcs as columns. What the supplies of all other nodes add up to leaves
 * at the root.
 */
export interface Network {
  readonly nodes: number;
  readonly root: number;
  /** What comes in at each node, ≥ 0; the root's is not read. */
  readonly supply: Float64Array;
  readonly from: Int32Array;
  readonly to: Int32Array;
  /** Upper bound of each arc's flow, ≥ 0, may be Infinity. The lower bound is 0. */
  readonly capacity: Float64Array;
  /** For each unit of flow, ≥ 0, finite. */
  readonly cost: Float64Array;
}

/** Puts a network together, arc by arc. */
export class NetworkBuilder {
  readonly #supply: number[] = [];
  readonly #from: number[] = [];
  readonly #to: number[] = [];
  readonly #capacity: number[] = [];
  readonly #cost: number[] = [];

  /** @returns its number. */
  node(supply = 0): number {
    return this.#supply.push(supply) - 1;
  }

  /** @returns its number. */
  arc(from: number, to: number, cost: number, capacity = Number.POSITIVE_INFINITY): number {
    this.#to.push(to);
    this.#capacity.push(capacity);
    this.#cost.push(cost);
    return this.#from.push(from) - 1;
  }

  build(root: number): Network {
    return {
      nodes: this.#supply.length,
      root,
      supply: Float64Array.from(this.#supply),
      from: Int32Array.from(this.#from),
      to: Int32Array.from(this.#to),
      capacity: Float64Array.from(this.#capacity),
      cost: Float64Array.from(this.#cost),
    };
  }
}
