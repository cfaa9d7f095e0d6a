import { assert, Failure } from '@meridian/failure';

/** Most bytes of one request. Larger loads the brokers' links in longer pieces, smaller costs more requests. */
export const CHUNK_BYTES_MAX = 256 * 1024;
/**
 * Chunks asked for and not yet written, at most: 2 MiB fill 160 Mbit/s at 100 ms. More fills longer links, and keeps
 * claims on the same link waiting longer.
 */
export const CHUNKS_MAX = 8;

export interface ChunkRange {
  readonly offset: number;
  readonly bytes: number;
}

/**
 * Which chunks of one blob to ask one source for, and in which order they can be written.
 *
 * 1. Every byte from the first offset on is asked for exactly once, and none beyond the end.
 * 2. At most {@link CHUNKS_MAX} chunks are asked for and not yet written: one at first, one more with each that came. So a
 *    slow link is not asked for more than it can bring in time.
 * 3. Chunks come out in order, without a gap.
 */
export class ChunkWindow {
  readonly #totalBytes: number;
  readonly #asked = new Map<number, number>();
  /** Came before one that lies ahead of them. */
  readonly #early = new Map<number, Uint8Array>();
  #nextAsk: number;
  #nextWrite: number;
  #width = 1;

  /** @param offset what is here already */
  constructor(totalBytes: number, offset: number) {
    assert(offset >= 0 && offset <= totalBytes, 'a blob is continued within its size');
    this.#totalBytes = totalBytes;
    this.#nextAsk = offset;
    this.#nextWrite = offset;
  }

  get isComplete(): boolean {
    return this.#nextWrite === this.#totalBytes;
  }

  /** What to ask for next; undefined while enough is under way, and when everything has been asked for. */
  next(): ChunkRange | undefined {
    if (this.#nextAsk >= this.#totalBytes || this.#asked.size + this.#early.size >= this.#width) return undefined;
    const offset = this.#nextAsk;
    const bytes = Math.min(CHUNK_BYTES_MAX, this.#totalBytes - offset);
    this.#asked.set(offset, bytes);
    this.#nextAsk += bytes;
    return { offset, bytes };
  }

  /**
   * Takes the answer to a range that was asked for. @returns what can be written now, in order.
   * @throws Failure DATA_LOSS / BLOB_SIZE when it does not have the bytes that were asked for
   */
  take(offset: number, chunk: Uint8Array): readonly Uint8Array[] {
    const expected = this.#asked.get(offset);
    assert(expected !== undefined, 'an answer is to a question');
    if (chunk.length !== expected)
      throw new Failure('DATA_LOSS', `${chunk.length} bytes at ${offset}, expected ${expected}`, {
        reason: 'BLOB_SIZE',
      });
    this.#asked.delete(offset);
    this.#early.set(offset, chunk);
    this.#width = Math.min(this.#width + 1, CHUNKS_MAX);
    const ready: Uint8Array[] = [];
    for (let next = this.#early.get(this.#nextWrite); next !== undefined; next = this.#early.get(this.#nextWrite)) {
      this.#early.delete(this.#nextWrite);
      this.#nextWrite += next.length;
      ready.push(next);
    }
    return ready;
  }
}
