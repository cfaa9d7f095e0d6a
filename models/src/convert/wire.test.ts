import { BinaryReader } from '@bufbuild/protobuf/wire';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { WireMessage } from './wire.ts';

/** Read back by protobuf-es, which shares no code with the writer. */
describe('WireMessage', () => {
  test('integers of any field and value read back the same', () => {
    const field = fc.integer({ min: 1, max: 2 ** 29 - 1 });
    fc.assert(
      fc.property(field, fc.maxSafeInteger(), (number, value) => {
        const reader = new BinaryReader(new WireMessage().integer(number, value).finish());
        expect(reader.tag()).toEqual([number, 0]);
        expect(BigInt(reader.int64())).toBe(BigInt(value));
        expect(reader.pos).toBe(reader.len);
      }),
    );
  });

  test('fields keep the order in which they were written, inside messages too', () => {
    const inner = new WireMessage().text(1, 'Größe').float(2, 0.25);
    const reader = new BinaryReader(new WireMessage().message(7, inner).bytes(9, Uint8Array.of(1, 2)).finish());
    expect(reader.tag()).toEqual([7, 2]);
    const nested = new BinaryReader(reader.bytes());
    expect([nested.tag(), nested.string(), nested.tag(), nested.float()]).toEqual([[1, 2], 'Größe', [2, 5], 0.25]);
    expect([reader.tag(), Array.from(reader.bytes())]).toEqual([
      [9, 2],
      [1, 2],
    ]);
  });
});
