import { randomBytes } from 'node:crypto';
import { assert } from '@meridian/failure';

/** The only source of chance. Domain code takes it as a port, so that a seed reproduces a run. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform integer in [0, maxExclusive); maxExclusive is 1 … 2^53 − 1. */
  int(maxExclusive: number): number;
  /** Uniform in [0, 2^64). */
  bigint64(): bigint;
}

/** `bigint64` comes from the system's secure source: epochs must never meet. The others decide jitter and order only. */
export const systemRandom: Random = {
  next: () => Math.random(),
  int: (maxExclusive) => toInt(Math.random(), maxExclusive),
  bigint64: () => randomBytes(8).readBigUInt64BE(),
};

/** The same seed gives the same sequence (sfc32, 128 bits of state). Not for secrets. */
export function seededRandom(seed: number): Random {
  const next32 = sfc32(seed);
  // 53 bits, as many as a double holds: `int` stays uniform for large bounds.
  const next = () => ((next32() >>> 5) * 2 ** 26 + (next32() >>> 6)) / 2 ** 53;
  return {
    next,
    int: (maxExclusive) => toInt(next(), maxExclusive),
    bigint64: () => (BigInt(next32()) << 32n) | BigInt(next32()),
  };
}

function toInt(fraction: number, maxExclusive: number): number {
  assert(Number.isSafeInteger(maxExclusive) && maxExclusive > 0, 'the bound of a random integer is positive');
  return Math.floor(fraction * maxExclusive);
}

/** Chris Doty-Humphrey's small fast counter generator, 32-bit variant. */
function sfc32(seed: number): () => number {
  let a = seed | 0;
  let b = Math.floor(seed / 2 ** 32) | 0;
  let c = 0x9e3779b9 | 0;
  let counter = 1;
  const next = () => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  // The author's advice: the first outputs still show the seed.
  for (let i = 0; i < 15; i++) next();
  return next;
}
