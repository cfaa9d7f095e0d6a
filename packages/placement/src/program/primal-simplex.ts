import { assert } from '@meridian/failure';

/** A variable: what one unit of it costs and how much of each row it takes. */
export interface Column {
  readonly cost: number;
  readonly rows: readonly number[];
  /** By place in `rows`. */
  readonly amounts: readonly number[];
}

/**
 * minimise Σ cost_k x_k where Σ amounts_k x_k = limit in each row, x ≥ 0. Each row has a column of its own, which takes one of
 * it and nothing else (a slack, or what a row goes without): all of these together are the first solution.
 */
export interface Program {
  /** ≥ 0. */
  readonly limits: Float64Array;
  /** Cost of each row's own column. */
  readonly ownCosts: Float64Array;
  readonly columns: readonly Column[];
}

export interface Solution {
  /** Of each column. */
  readonly values: Float64Array;
  /** Of each row's own column. */
  readonly ownValues: Float64Array;
  /** What one unit more of the row's limit would cost. */
  readonly duals: Float64Array;
  readonly pivots: number;
}

/** Of the largest cost; what rounding leaves of a zero. */
const COST_TOLERANCE = 1e-12;
const PIVOT_MIN = 1e-9;
/** Rounding adds up in the inverse of the basis: it is made anew so often. */
const PIVOTS_PER_INVERSION = 200;
/** Far more than plans need; what is there by then is a solution, if not the best. */
const PIVOTS_MAX = 20_000;
/** Steps in a row that gain nothing, after which the first improving column is taken (Bland): no cycle goes on for ever. */
const STALLS_MAX = 200;

/**
 * The primal simplex with a dense inverse of the basis, for programs of some hundred rows whose columns touch a few rows each.
 *
 * 1. The basis is feasible at all times.
 * 2. Deterministic: doubles in a fixed order, no randomness; of equal candidates the first counts.
 *
 * Chvátal: "Linear Programming" (1983), chapters 7 and 8.
 */
export class PrimalSimplex {
  readonly #program: Program;
  readonly #size: number;
  readonly #columns: Packed;
  readonly #tolerance: number;
  readonly #blockColumns: number;
  /** By place: number of the column, or −1 − row for a row's own. */
  readonly #basis: Int32Array;
  readonly #isBasic: Uint8Array;
  readonly #isOwnBasic: Uint8Array;
  /** Column by column: what a row's limit adds to each basic value. */
  #inverse: Float64Array;
  #values: Float64Array;
  #duals: Float64Array;
  #next = 0;
  #pivots = 0;
  #stalls = 0;

  constructor(program: Program) {
    const size = program.limits.length;
    this.#program = program;
    this.#size = size;
    this.#columns = packed(program.columns);
    this.#blockColumns = Math.max(64, Math.ceil(4 * Math.sqrt(program.columns.length)));
    this.#basis = Int32Array.from({ length: size }, (_, row) => -1 - row);
    this.#isBasic = new Uint8Array(program.columns.length);
    this.#isOwnBasic = new Uint8Array(size).fill(1);
    this.#inverse = identity(size);
    this.#values = Float64Array.from(program.limits);
    this.#duals = Float64Array.from(program.ownCosts);
    const highest = program.columns.reduce((max, { cost }) => Math.max(max, Math.abs(cost)), 0);
    this.#tolerance = COST_TOLERANCE * program.ownCosts.reduce((max, cost) => Math.max(max, Math.abs(cost)), highest);
  }

  solve(): Solution {
    // What rounding has made of the duals may hide a gain, or show one that is none: the last word is of fresh ones.
    for (let isFresh = false; this.#pivots < PIVOTS_MAX; ) {
      const entering = this.#entering();
      if (entering === undefined && isFresh) break;
      if (entering !== undefined) this.#pivot(entering);
      isFresh = entering === undefined || this.#pivots % PIVOTS_PER_INVERSION === 0;
      if (isFresh) this.#invert();
    }
    return this.#solution();
  }

  #solution(): Solution {
    const values = new Float64Array(this.#program.columns.length);
    const ownValues = new Float64Array(this.#size);
    for (const [place, column] of this.#basis.entries()) {
      const value = this.#values[place] as number;
      if (column >= 0) values[column] = value;
      else ownValues[-1 - column] = value;
    }
    return { values, ownValues, duals: this.#duals, pivots: this.#pivots };
  }

  #costOf(column: number): number {
    return (column < 0 ? this.#program.ownCosts[-1 - column] : this.#columns.cost[column]) as number;
  }

  #reduced(column: number): number {
    if (column < 0) return (this.#program.ownCosts[-1 - column] as number) - (this.#duals[-1 - column] as number);
    const { cost, start, row, amount } = this.#columns;
    let reduced = cost[column] as number;
    for (let i = start[column] as number; i < (start[column + 1] as number); i++)
      reduced -= (amount[i] as number) * (this.#duals[row[i] as number] as number);
    return reduced;
  }

  /** What improves most of the next block; after many steps that gained nothing, the first of all. */
  #entering(): number | undefined {
    const count = this.#program.columns.length;
    const takesFirst = this.#stalls > STALLS_MAX;
    let best: number | undefined;
    let least = -this.#tolerance;
    const consider = (column: number) => {
      const reduced = this.#reduced(column);
      if (reduced < least) [best, least] = [column, reduced];
    };
    for (let row = 0; row < this.#size; row++) {
      if (this.#isOwnBasic[row] === 0) consider(-1 - row);
      if (best !== undefined && takesFirst) return best;
    }
    let k = takesFirst ? 0 : this.#next;
    for (let seen = 1; seen <= count; seen++) {
      if (this.#isBasic[k] === 0) consider(k);
      if (++k === count) k = 0;
      if (best === undefined || (!takesFirst && seen % this.#blockColumns > 0)) continue;
      this.#next = k;
      return best;
    }
    return best;
  }

  #pivot(entering: number): void {
    const direction = this.#direction(entering, this.#inverse);
    let [leaving, ratio] = [-1, Number.POSITIVE_INFINITY];
    for (let place = 0; place < this.#size; place++) {
      const step = direction[place] as number;
      if (step <= PIVOT_MIN) continue;
      const own = (this.#values[place] as number) / step;
      // Of equal ones the largest pivot: the inverse stays exact for longer.
      if (own < ratio || (own === ratio && step > (direction[leaving] as number))) [leaving, ratio] = [place, own];
    }
    assert(leaving >= 0, 'costs are not negative: nothing gains for ever');
    this.#stalls = ratio > 0 ? 0 : this.#stalls + 1;
    this.#pivots++;
    const reduced = this.#reduced(entering);
    replace(this.#inverse, this.#size, leaving, direction);
    for (let i = 0; i < this.#size; i++)
      this.#duals[i] = (this.#duals[i] as number) + reduced * (this.#inverse[i * this.#size + leaving] as number);
    for (let place = 0; place < this.#size; place++)
      this.#values[place] = Math.max(0, (this.#values[place] as number) - ratio * (direction[place] as number));
    this.#values[leaving] = ratio;
    this.#mark(this.#basis[leaving] as number, 0);
    this.#mark(entering, 1);
    this.#basis[leaving] = entering;
  }

  #mark(column: number, isBasic: 0 | 1): void {
    if (column < 0) this.#isOwnBasic[-1 - column] = isBasic;
    else this.#isBasic[column] = isBasic;
  }

  /** How the basic values fall with one unit of the column. */
  #direction(column: number, inverse: Float64Array): Float64Array {
    const size = this.#size;
    if (column < 0) return inverse.slice((-1 - column) * size, -column * size);
    const direction = new Float64Array(size);
    const { start, row, amount } = this.#columns;
    for (let i = start[column] as number; i < (start[column + 1] as number); i++) {
      const [from, each] = [(row[i] as number) * size, amount[i] as number];
      for (let place = 0; place < size; place++)
        direction[place] = (direction[place] as number) + each * (inverse[from + place] as number);
    }
    return direction;
  }

  /** Anew from the basis: what rounding has added goes. */
  #invert(): void {
    const size = this.#size;
    const inverse = identity(size);
    const isOpen = new Uint8Array(size).fill(1);
    const placed = new Int32Array(size);
    // A row's own columns first: they change nothing.
    for (const column of [...this.#basis].sort((a, b) => a - b)) {
      const direction = this.#direction(column, inverse);
      let best = -1;
      for (let place = 0; place < size; place++)
        if (
          isOpen[place] === 1 &&
          (best < 0 || Math.abs(direction[place] as number) > Math.abs(direction[best] as number))
        )
          best = place;
      replace(inverse, size, best, direction);
      isOpen[best] = 0;
      placed[best] = column;
    }
    this.#basis.set(placed);
    this.#inverse = inverse;
    this.#refresh();
  }

  #refresh(): void {
    const size = this.#size;
    const { limits } = this.#program;
    const values = new Float64Array(size);
    for (let i = 0; i < size; i++) {
      let dual = 0;
      for (let place = 0; place < size; place++) {
        const each = this.#inverse[i * size + place] as number;
        if (each === 0) continue;
        values[place] = (values[place] as number) + each * (limits[i] as number);
        dual += each * this.#costOf(this.#basis[place] as number);
      }
      this.#duals[i] = dual;
    }
    this.#values = values.map((value) => Math.max(0, value));
  }
}

export function reducedCost({ cost, rows, amounts }: Column, duals: Float64Array): number {
  let reduced = cost;
  for (let i = 0; i < rows.length; i++) reduced -= (amounts[i] as number) * (duals[rows[i] as number] as number);
  return reduced;
}

/** Columns one after the other. */
interface Packed {
  readonly cost: Float64Array;
  readonly start: Int32Array;
  readonly row: Int32Array;
  readonly amount: Float64Array;
}

function packed(columns: readonly Column[]): Packed {
  const start = new Int32Array(columns.length + 1);
  for (const [k, { rows }] of columns.entries()) start[k + 1] = (start[k] as number) + rows.length;
  return {
    cost: Float64Array.from(columns, ({ cost }) => cost),
    start,
    row: Int32Array.from(columns.flatMap(({ rows }) => rows)),
    amount: Float64Array.from(columns.flatMap(({ amounts }) => amounts)),
  };
}

/** The inverse once the basic value at `leaving` is the one of a column with this direction. */
function replace(inverse: Float64Array, size: number, leaving: number, direction: Float64Array): void {
  const pivot = direction[leaving] as number;
  for (let i = 0; i < size; i++) {
    const from = i * size;
    const own = inverse[from + leaving] as number;
    if (own === 0) continue;
    const scaled = own / pivot;
    for (let place = 0; place < size; place++)
      inverse[from + place] = (inverse[from + place] as number) - scaled * (direction[place] as number);
    inverse[from + leaving] = scaled;
  }
}

function identity(size: number): Float64Array {
  const matrix = new Float64Array(size * size);
  for (let i = 0; i < size; i++) matrix[i * size + i] = 1;
  return matrix;
}
