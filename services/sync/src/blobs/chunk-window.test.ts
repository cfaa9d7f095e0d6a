import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { CHUNK_BYTES_MAX, CHUNKS_MAX, type ChunkRange, ChunkWindow } from './chunk-window.ts';

const MIB = 2 ** 20;
const sizes = fc
  .integer({ min: 1, max: 5 * MIB })
  .chain((total) => fc.record({ total: fc.constant(total), offset: fc.integer({ min: 0, max: total }) }));

test('asks for every byte once, from the offset to the end, within the bound, and gives them back in order', () => {
  fc.assert(
    fc.property(sizes, fc.infiniteStream(fc.nat()), ({ total, offset }, order) => {
      const window = new ChunkWindow(total, offset);
      const open: ChunkRange[] = [];
      const asked: ChunkRange[] = [];
      let written = offset;
      while (!window.isComplete) {
        for (let range = window.next(); range !== undefined; range = window.next()) {
          open.push(range);
          asked.push(range);
        }
        expect(open.length).toBeGreaterThan(0);
        expect(asked.reduce((sum, { bytes }) => sum + bytes, offset) - written).toBeLessThanOrEqual(
          CHUNKS_MAX * CHUNK_BYTES_MAX,
        );
        const [range] = open.splice((order.next().value ?? 0) % open.length, 1) as [ChunkRange];
        const chunk = new Uint8Array(range.bytes);
        new DataView(chunk.buffer).setUint8(0, (range.offset / CHUNK_BYTES_MAX) & 0xff);
        for (const ready of window.take(range.offset, chunk)) {
          expect(ready[0]).toBe((written / CHUNK_BYTES_MAX) & 0xff);
          written += ready.length;
        }
      }
      expect(written).toBe(total);
      expect(window.next()).toBeUndefined();
      let next = offset;
      for (const range of asked) {
        expect(range.offset).toBe(next);
        expect(range.bytes).toBeLessThanOrEqual(CHUNK_BYTES_MAX);
        next += range.bytes;
      }
      expect(next).toBe(total);
    }),
    { numRuns: 60 },
  );
});

test('one chunk at first, one more with each that came', () => {
  const window = new ChunkWindow(100 * CHUNK_BYTES_MAX, 0);
  const fill = () => {
    let count = 0;
    while (window.next() !== undefined) count++;
    return count;
  };
  expect(fill()).toBe(1);
  const opened: number[] = [];
  for (let i = 0; i < 12; i++) {
    window.take(i * CHUNK_BYTES_MAX, new Uint8Array(CHUNK_BYTES_MAX));
    opened.push(fill());
  }
  expect(opened).toEqual([2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1]);
});

test('an answer that does not have the bytes that were asked for is refused', () => {
  for (const length of [0, 9, 11]) {
    const window = new ChunkWindow(10, 0);
    window.next();
    expect(() => window.take(0, new Uint8Array(length))).toThrow(expect.objectContaining({ reason: 'BLOB_SIZE' }));
  }
});
