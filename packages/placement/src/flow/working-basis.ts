/**
 * The part of a simplex basis that is not a tree: as many columns as there are side rows, kept as the inverse of their matrix.
 * Columns have places; what is at a place may be replaced.
 *
 * Rounding adds up with every change: whoever uses it makes it anew from its columns now and then ({@link rebuild}).
 */
export class WorkingBasis {
  readonly size: number;
  /** `[place · size + row]`. */
  #inverse: Float64Array;

  /** All places hold the unit column of their row. */
  constructor(size: number) {
    this.size = size;
    this.#inverse = identity(size);
  }

  /** How the values at each place fall when one unit of the column comes in. */
  times(column: Float64Array): Float64Array {
    const { size } = this;
    const fall = new Float64Array(size);
    for (let row = 0; row < size; row++) {
      const each = column[row] as number;
      if (each === 0) continue;
      for (let place = 0; place < size; place++)
        fall[place] = (fall[place] as number) + each * (this.#inverse[place * size + row] as number);
    }
    return fall;
  }

  /** For each row the sum over places of weight · inverse. */
  combine(weights: Float64Array): Float64Array {
    const { size } = this;
    const sum = new Float64Array(size);
    for (let place = 0; place < size; place++) {
      const weight = weights[place] as number;
      if (weight === 0) continue;
      const from = place * size;
      for (let row = 0; row < size; row++)
        sum[row] = (sum[row] as number) + weight * (this.#inverse[from + row] as number);
    }
    return sum;
  }

  /** Puts a column in at the place. @param fall what {@link times} says of it; not 0 at the place */
  replace(place: number, fall: Float64Array): void {
    const { size } = this;
    const [from, pivot] = [place * size, fall[place] as number];
    for (let row = 0; row < size; row++) this.#inverse[from + row] = (this.#inverse[from + row] as number) / pivot;
    const own = this.#inverse.slice(from, from + size);
    for (let other = 0; other < size; other++) if (other !== place) this.#add(other, -(fall[other] as number), own);
  }

  /**
   * The column at the place p changes places with a tree arc that is in the cycles of all columns with sign ≠ 0: columns e
   * become e − (sign_e ÷ sign_p) · p, and the arc stands at p.
   */
  exchange(place: number, signs: Float64Array): void {
    this.#inverse.set(this.combine(signs), place * this.size);
  }

  /** Each column e becomes e − part_e · c, where c is the column that falls by `fall`. */
  reroute(fall: Float64Array, parts: Float64Array): void {
    const { size } = this;
    const crossing = this.combine(parts);
    let left = 1;
    for (let place = 0; place < size; place++) left -= (parts[place] as number) * (fall[place] as number);
    for (let place = 0; place < size; place++) this.#add(place, (fall[place] as number) / left, crossing);
  }

  /**
   * Anew from columns: `undefined` for the unit column of its place's row, which stays there.
   * @returns for each place the index of the column that is there now
   */
  rebuild(columns: readonly (Float64Array | undefined)[]): Int32Array {
    const { size } = this;
    this.#inverse = identity(size);
    const placed = new Int32Array(size).fill(-1);
    for (let place = 0; place < size; place++) if (columns[place] === undefined) placed[place] = place;
    for (const [index, column] of columns.entries()) {
      if (column === undefined) continue;
      const fall = this.times(column);
      let best = -1;
      for (let place = 0; place < size; place++)
        if (placed[place] === -1 && (best < 0 || Math.abs(fall[place] as number) > Math.abs(fall[best] as number)))
          best = place;
      this.replace(best, fall);
      placed[best] = index;
    }
    return placed;
  }

  #add(place: number, factor: number, row: Float64Array): void {
    if (factor === 0) return;
    const from = place * this.size;
    for (let i = 0; i < row.length; i++)
      this.#inverse[from + i] = (this.#inverse[from + i] as number) + factor * (row[i] as number);
  }
}

function identity(size: number): Float64Array {
  const matrix = new Float64Array(size * size);
  for (let i = 0; i < size; i++) matrix[i * size + i] = 1;
  return matrix;
}
