import type { Random } from '@meridian/runtime';

/**
 * All chance of a run: the same seed and stream give the same sequence (xoshiro128**). Streams of one seed are independent,
 * so that one more draw in one place does not change what happens in all others.
 */
export class Chance implements Random {
  readonly #state = new Uint32Array(4);

  constructor(seed: number, stream: number) {
    // SplitMix32 spreads neighbouring seeds.
    let mixed = (seed ^ Math.imul(stream + 1, 0x9e3779b9)) >>> 0;
    for (let i = 0; i < 4; i++) {
      mixed = (mixed + 0x9e3779b9) >>> 0;
      let z = mixed;
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      this.#state[i] = (z ^ (z >>> 15)) >>> 0;
    }
    this.#state[3] = (this.#state[3] ?? 0) ^ (stream + 1);
  }

  next(): number {
    return (this.#next32() >>> 5) / 2 ** 27;
  }

  int(maxExclusive: number): number {
    return Math.floor(this.next() * maxExclusive);
  }

  bigint64(): bigint {
    return (BigInt(this.#next32()) << 32n) | BigInt(this.#next32());
  }

  /** Uniform, both ends included, whole numbers. */
  between(min: number, max: number): number {
    return min + this.int(max - min + 1);
  }

  happens(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(among: readonly T[]): T {
    if (among.length === 0) throw new RangeError('nothing to pick from');
    return among[this.int(among.length)] as T;
  }

  /** One of the values, each as often as its weight says. */
  weighted<T>(among: readonly (readonly [number, T])[]): T {
    let left = this.next() * among.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, value] of among) {
      left -= weight;
      if (left < 0) return value;
    }
    const last = among.at(-1);
    if (last === undefined) throw new RangeError('nothing to pick from');
    return last[1];
  }

  #next32(): number {
    const s = this.#state;
    const [a = 0, b = 0, c = 0, d = 0] = s;
    const result = Math.imul(rotated(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    const x = c ^ a;
    const y = d ^ b;
    s[1] = b ^ x;
    s[0] = a ^ y;
    s[2] = x ^ shifted;
    s[3] = rotated(y, 11);
    return result;
  }
}

function rotated(x: number, bits: number): number {
  return (x << bits) | (x >>> (32 - bits));
}
