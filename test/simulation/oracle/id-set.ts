/** A set of small whole numbers: the ids of writes. */
export class IdSet {
  #words: Uint32Array;

  constructor(words?: Uint32Array) {
    this.#words = words ?? new Uint32Array(4);
  }

  has(id: number): boolean {
    return ((this.#words[id >>> 5] ?? 0) & (1 << (id & 31))) !== 0;
  }

  add(id: number): void {
    const at = id >>> 5;
    this.#grow(at + 1);
    this.#words[at] = (this.#words[at] ?? 0) | (1 << (id & 31));
  }

  delete(id: number): void {
    const at = id >>> 5;
    if (at < this.#words.length) this.#words[at] = (this.#words[at] ?? 0) & ~(1 << (id & 31));
  }

  addAll(other: IdSet): void {
    const from = other.#words;
    this.#grow(from.length);
    const to = this.#words;
    for (let i = 0; i < from.length; i++) to[i] = (to[i] ?? 0) | (from[i] ?? 0);
  }

  copy(): IdSet {
    return new IdSet(this.#words.slice());
  }

  *[Symbol.iterator](): Iterator<number> {
    for (let i = 0; i < this.#words.length; i++) {
      for (let word = this.#words[i] ?? 0; word !== 0; word &= word - 1) yield i * 32 + (31 - Math.clz32(word & -word));
    }
  }

  /** Ids that are here and not there. */
  without(other: IdSet): number[] {
    const found: number[] = [];
    for (let i = 0; i < this.#words.length; i++) {
      let word = (this.#words[i] ?? 0) & ~(other.#words[i] ?? 0);
      for (; word !== 0; word &= word - 1) found.push(i * 32 + (31 - Math.clz32(word & -word)));
    }
    return found;
  }

  #grow(words: number): void {
    if (words <= this.#words.length) return;
    const grown = new Uint32Array(Math.max(words, this.#words.length * 2));
    grown.set(this.#words);
    this.#words = grown;
  }
}
