import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import { DeltaSchema, FetchResponseSchema, LogRecordSchema } from '@meridian/contracts/state';
import type { Entry } from '@meridian/replica';
import fc from 'fast-check';
import {
  decodeDelta,
  decodeFetchAnswer,
  decodeLogRecord,
  encodeDelta,
  encodeFetchAnswer,
  encodeLogRecord,
} from './replication-codec.ts';

const actors = ['beijing', 'shanghai'].map((region) => actorId(region, 0xabcn));
const vector = fc
  .array(fc.tuple(fc.constantFrom(...actors), fc.integer({ min: 1, max: 9 })), { maxLength: 3 })
  .map((entries) => VersionVector.of(entries));
const entry: fc.Arbitrary<Entry> = fc
  .record({
    key: fc.stringMatching(/^[a-z]{1,9}\/[a-z0-9:]{1,20}$/),
    values: fc.array(fc.option(fc.uint8Array({ maxLength: 20 })), { maxLength: 2 }),
  })
  .map(({ key, values }) => ({
    key,
    versions: values.map((value, i) => ({
      dot: { actor: actors[i] as (typeof actors)[number], counter: i + 1 },
      hlc: { wallMs: 1_000 + i, logical: i },
      value: value ?? new Uint8Array(0),
      deleted: value === null,
    })),
    context: VersionVector.of(values.map((_, i) => [actors[i] as (typeof actors)[number], i + 1])),
  }));

/** Vectors have no public fields to compare: as text. */
const plain = (value: unknown) =>
  JSON.stringify(value, (_, item) => {
    if (item instanceof VersionVector) return item.toString();
    return item instanceof Uint8Array ? Buffer.from(item).toString('hex') : item;
  });

describe('what is encoded reads back the same', () => {
  test('log records', () => {
    const lineage = fc.constantFrom({ actor: undefined, counter: 0 }, { actor: actors[0], counter: 7 });
    fc.assert(
      fc.property(entry, lineage, vector, (e, writer, clock) => {
        const record = { entry: e, lineage: writer, clock };
        const bytes = toBinary(LogRecordSchema, create(LogRecordSchema, encodeLogRecord(record)));
        expect(plain(decodeLogRecord(fromBinary(LogRecordSchema, bytes)))).toBe(plain(record));
      }),
    );
  });

  test('deltas and pages', () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 4 }), vector, vector, (entries, a, b) => {
        const delta = { entries, from: a, to: a.merge(b) };
        const wire = create(DeltaSchema, encodeDelta(delta));
        expect(plain(decodeDelta(fromBinary(DeltaSchema, toBinary(DeltaSchema, wire))))).toBe(plain(delta));
        const page = { entries, vector: a, nextKey: entries[0]?.key ?? '' };
        const response = create(FetchResponseSchema, encodeFetchAnswer(page));
        const bytes = toBinary(FetchResponseSchema, response);
        expect(plain(decodeFetchAnswer(fromBinary(FetchResponseSchema, bytes)))).toBe(plain(page));
      }),
    );
  });
});

describe('what no region sends is refused', () => {
  const good = encodeDelta({ entries: [], from: VersionVector.EMPTY, to: VersionVector.EMPTY });
  const one = {
    key: 'model/a',
    context: `${actors[0]}=1`,
    versions: [{ dot: `${actors[0]}=1`, hlc: '0000000000010000', value: Buffer.from('v'), deleted: false }],
  };
  const [first] = one.versions;
  test.each([
    ['a delta that goes back', { ...good, fromVector: `${actors[0]}=2`, toVector: `${actors[0]}=1` }],
    ['a vector that is none', { ...good, toVector: '__proto__=1' }],
    ['an entry without key', { ...good, entries: [{ ...one, key: '' }] }],
    ['a context that lacks the entry’s own dot', { ...good, entries: [{ ...one, context: '' }] }],
    ['a dot twice', { ...good, entries: [{ ...one, versions: [first, first] }] }],
    ['a counter of zero', { ...good, entries: [{ ...one, versions: [{ ...first, dot: `${actors[0]}=0` }] }] }],
    ['a deletion with a value', { ...good, entries: [{ ...one, versions: [{ ...first, deleted: true }] }] }],
    ['a timestamp that is none', { ...good, entries: [{ ...one, versions: [{ ...first, hlc: 'now' }] }] }],
  ])('%s', (_, message) => {
    expect(() => decodeDelta(create(DeltaSchema, message as typeof good))).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });
});
