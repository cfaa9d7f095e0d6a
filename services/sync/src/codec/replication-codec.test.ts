import { deflateRawSync } from 'node:zlib';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import { DeltaSchema, FetchResponseSchema, HeadSchema, LogRecordSchema } from '@meridian/contracts/state';
import type { Entry } from '@meridian/replica';
import fc from 'fast-check';
import { META_KEY } from '../replication/protocol.ts';
import {
  decodeDelta,
  decodeFetchAnswer,
  decodeHead,
  decodeLogRecord,
  encodeDelta,
  encodeFetchAnswer,
  encodeHead,
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
    if (item?.type === 'Buffer') return Buffer.from(item.data).toString('hex');
    if (item instanceof Uint8Array) return Buffer.from(item).toString('hex');
    // Fields in one order.
    return item?.constructor === Object ? Object.fromEntries(Object.entries(item).sort()) : item;
  });

describe('what is encoded reads back the same', () => {
  test('log records', () => {
    const lineage = fc.constantFrom({ actor: undefined, counter: 0 }, { actor: actors[0], counter: 7 });
    fc.assert(
      fc.property(entry, lineage, vector, fc.constantFrom(0, 1, 2), (e, writer, clock, written) => {
        const alone = { key: e.key, entry: e, lineage: writer, clock, last: { wallMs: 9, logical: 1 } };
        const group = { size: 3, last: 9, before: written === 2 ? e : undefined };
        const record = written === 0 ? alone : { ...alone, group };
        const bytes = toBinary(LogRecordSchema, create(LogRecordSchema, encodeLogRecord(record)));
        expect(plain(decodeLogRecord(fromBinary(LogRecordSchema, bytes)))).toBe(plain(record));
      }),
    );
  });

  test('meta records', () => {
    const lineage = { actor: undefined, counter: 0 };
    fc.assert(
      fc.property(vector, vector, fc.nat(), (clock, collected, generation) => {
        const meta = { collected, generation, distrustedUntil: 17, identity: 'f'.repeat(16) };
        const record = { key: META_KEY, meta, lineage, clock, last: { wallMs: 5, logical: 7 } };
        const bytes = toBinary(LogRecordSchema, create(LogRecordSchema, encodeLogRecord(record)));
        expect(plain(decodeLogRecord(fromBinary(LogRecordSchema, bytes)))).toBe(plain(record));
      }),
    );
  });

  test('deltas and pages', () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 4 }), vector, vector, (entries, a, b) => {
        const to = a.merge(b);
        const seen = entries.map((e) => ({ ...e, context: to.merge(e.context) }));
        const delta = { generation: 3, entries: seen, from: a, to, lists: b, forgotten: a };
        const wire = create(DeltaSchema, encodeDelta(delta));
        expect(plain(decodeDelta(fromBinary(DeltaSchema, toBinary(DeltaSchema, wire))))).toBe(plain(delta));
        const flags = {
          isWholeRange: true,
          isRefused: false,
          isRecovering: true,
          collected: a,
          heardActors: [...actors],
          sentAtMs: 17,
        };
        const page = { generation: 0, entries: seen, vector: to, nextKey: entries[0]?.key ?? '', ...flags };
        const bytes = toBinary(FetchResponseSchema, create(FetchResponseSchema, encodeFetchAnswer(page)));
        expect(plain(decodeFetchAnswer(fromBinary(FetchResponseSchema, bytes)))).toBe(plain(page));
      }),
    );
  });

  test('heads', () => {
    fc.assert(
      fc.property(vector, fc.nat(), fc.boolean(), (v, n, isRecovering) => {
        const times = { sentAtMs: n, knownUntilMs: n + 1, lastFetchAtMs: n + 2 };
        const identity = {
          life: '00000000000000ff',
          actor: isRecovering ? undefined : actors[0],
          sequence: n,
          generation: 1,
          digest: 'ab'.repeat(16),
        };
        const head = { vector: v, ...identity, ...times, isRecovering, rounds: 4, conflicts: 2 };
        const bytes = toBinary(HeadSchema, create(HeadSchema, encodeHead(head)));
        expect(plain(decodeHead(fromBinary(HeadSchema, bytes)))).toBe(plain(head));
      }),
    );
  });
});

describe('what no region sends is refused', () => {
  const [actor] = actors as [(typeof actors)[number]];
  const version = {
    dot: { actor, counter: 1 },
    hlc: { wallMs: 1, logical: 0 },
    value: Buffer.from('v'),
    deleted: false,
  };
  const to = VersionVector.of([[actor, 1]]);
  const one = { key: 'model/a', versions: [version], context: to };
  const delta = {
    generation: 0,
    entries: [one],
    from: VersionVector.EMPTY,
    to,
    lists: VersionVector.EMPTY,
    forgotten: VersionVector.EMPTY,
  };
  const block = () => create(DeltaSchema, encodeDelta(delta)).block;
  const rows = (change: (bytes: Buffer) => Uint8Array) => {
    const value = change(Buffer.from(block()?.content.value ?? []));
    return { ...block(), content: { case: 'rows', value } };
  };
  test.each([
    ['a vector that is none', { ...block(), context: '__proto__=1' }],
    ['an actor that is none', { ...block(), actors: ['beijing'] }],
    ['an actor that the table lacks', { ...block(), actors: [] }],
    ['fewer rows than it says', { ...block(), count: 2 }],
    ['more rows than it says', { ...block(), count: 0, content: { case: 'rows', value: new Uint8Array(3) } }],
    ['a row that ends early', rows((bytes) => bytes.subarray(0, -1))],
    ['a row that goes on', rows((bytes) => Buffer.concat([bytes, Buffer.of(0)]))],
    ['rows that do not inflate', { ...block(), content: { case: 'deflatedRows', value: Buffer.from('no') } }],
    [
      'rows that inflate to too much',
      { ...block(), content: { case: 'deflatedRows', value: deflateRawSync(Buffer.alloc(9e6)) } },
    ],
    [
      'a key of the log itself',
      create(DeltaSchema, encodeDelta({ ...delta, entries: [{ ...one, key: '~meta' }] })).block,
    ],
    ...['*', '.'.repeat(67), 'x'.repeat(201)].map(
      (key) =>
        [
          `a key that no subject can have: ${key.slice(0, 3)}`,
          create(DeltaSchema, encodeDelta({ ...delta, entries: [{ ...one, key }] })).block,
        ] as const,
    ),
    ['no key', create(DeltaSchema, encodeDelta({ ...delta, entries: [{ ...one, key: '' }] })).block],
    ['a counter of zero', { ...block(), firstCounter: 0n }],
  ])('%s', (what, changed) => {
    const message = { ...encodeDelta(delta), block: changed } as MessageInitShape<typeof DeltaSchema>;
    const decode = () => decodeDelta(create(DeltaSchema, message));
    if (what === 'more rows than it says') expect(decode().entries).toEqual([]);
    else expect(decode).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});

test('an update of 53 bytes costs less than 60 in a batch of 100', () => {
  const [actor] = actors as [(typeof actors)[number]];
  const entries = Array.from({ length: 100 }, (_, i) => {
    const key = `config/${String(i * 37).padStart(14, '0')}`;
    const hlc = { wallMs: 1_700_000_000_000, logical: i };
    const versions = [{ dot: { actor, counter: i + 1 }, hlc, value: Buffer.alloc(32, i), deleted: false }];
    return { key, versions, context: VersionVector.of([[actor, 100]]) };
  });
  const to = VersionVector.of([[actor, 100]]);
  const delta = {
    generation: 0,
    entries,
    from: VersionVector.EMPTY,
    to,
    lists: VersionVector.EMPTY,
    forgotten: VersionVector.EMPTY,
  };
  const bytes = toBinary(DeltaSchema, create(DeltaSchema, encodeDelta(delta, false)));
  expect(bytes.length).toBeLessThan(53 * 100);
  expect(plain(decodeDelta(fromBinary(DeltaSchema, bytes)).entries)).toBe(plain(entries));
});
