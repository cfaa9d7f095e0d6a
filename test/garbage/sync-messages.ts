import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type { GenMessage } from '@bufbuild/protobuf/codegenv2';
import { actorId, HybridLogicalClock, type Timestamp, VersionVector } from '@meridian/causality';
import { EVENT_TYPES, type EventData, type EventType, encodeEnvelope, subject } from '@meridian/contracts';
import { Emitter } from '@meridian/messaging';
import { type Entry, modelKey, readyKey } from '@meridian/replica';
import { systemClock } from '@meridian/runtime';
import {
  decodeBlobAsk,
  decodeDelta,
  decodeFetchAnswer,
  decodeFetchRequest,
  decodeHead,
  decodeLogRecord,
  decodeSeen,
  encodeDelta,
  encodeFetchAnswer,
  encodeFetchRequest,
  encodeHead,
  encodeLogRecord,
  encodeSeen,
} from '@meridian/sync';
import type { WireMessage } from './mutation.ts';

/** Everything that reaches a sync service over its broker, as beijing gets it from shanghai. */
export interface SyncKind<T extends EventType = EventType> {
  readonly type: T;
  /** What it comes on; for an answer what was asked on. */
  readonly subject: string;
  readonly isAnswer?: boolean;
  /** Whose envelope it carries. */
  readonly source: string;
  readonly decode: (data: EventData<T>) => unknown;
  readonly samples: readonly MessageInitShape<(typeof EVENT_TYPES)[T]>[];
}

const ACTORS = ['beijing', 'guangzhou', 'shanghai'].map((region, i) => actorId(region, 0xabc0n + BigInt(i)));
const at = (counter: number): Timestamp => ({ wallMs: 1_700_000_000_000 + counter, logical: counter });
const vectorOf = (...counters: number[]) =>
  VersionVector.of(
    counters.flatMap((counter, i) => (counter === 0 ? [] : [[ACTORS[i] ?? ACTORS[0], counter] as never])),
  );
const WIDE = VersionVector.of(
  Array.from({ length: 64 }, (_, i) => [actorId('shanghai', BigInt(i + 1)), i + 1] as const),
);

function entryOf(key: string, context: VersionVector, ...values: (string | undefined)[]): Entry {
  const versions = values.map((value, i) => ({
    dot: { actor: ACTORS[i] ?? actorId('beijing', 1n), counter: i + 1 },
    hlc: at(i),
    value: value === undefined ? new Uint8Array(0) : Buffer.from(value),
    deleted: value === undefined,
  }));
  return { key, versions, context };
}

const DIGEST = `sha256:${'ab'.repeat(32)}`;
const ENTRIES = [
  entryOf(modelKey('centernet-320'), vectorOf(7, 8, 9), '{"name":"centernet-320"}', 'other', undefined),
  entryOf(readyKey('shanghai', DIGEST), vectorOf(3), 'ready'),
  entryOf('config/alpha', vectorOf(1, 2), undefined),
];
const delta = {
  ...{ generation: 0, entries: ENTRIES, from: vectorOf(5, 5, 5), to: vectorOf(5, 5, 9) },
  ...{ lists: vectorOf(2), forgotten: vectorOf(3) },
};
const SINGLE = { generation: 0, keys: ['model/a', 'config/alpha'], isRepair: false, isAway: false };
const request = { region: 'shanghai', vector: WIDE, afterKey: 'model/a', bytesMax: 65_536, ...SINGLE };
const ANSWERED = {
  generation: 0,
  isWholeRange: true,
  isRefused: false,
  isRecovering: false,
  collected: vectorOf(1, 2, 3),
  heardActors: [...ACTORS],
  sentAtMs: 1_700_000_000_000,
};
const answer = { entries: ENTRIES, vector: vectorOf(7, 9, 9), nextKey: 'model/centernet-320', ...ANSWERED };
const record = {
  key: modelKey('centernet-320'),
  entry: ENTRIES[0] as Entry,
  lineage: { actor: ACTORS[0], counter: 7 } as never,
  clock: vectorOf(6, 8),
  last: at(7),
};

const head = {
  ...{
    vector: vectorOf(5, 5, 9),
    life: '00000000000000ab',
    actor: ACTORS[2],
    sequence: 7,
    generation: 0,
    sentAtMs: 1_700_000_000_000,
  },
  ...{ digest: 'ab'.repeat(16), isRecovering: false, knownUntilMs: 1_700_000_000_000, rounds: 3 },
  ...{ lastFetchAtMs: 1_700_000_000_000, conflicts: 1 },
};
const grouped = { ...record, group: { size: 2, last: 8, before: ENTRIES[0] } };
const META = { key: '~meta', lineage: { actor: undefined, counter: 0 }, clock: vectorOf(6, 8), last: at(9) };
const meta = { collected: vectorOf(1, 2, 3), generation: 1, distrustedUntil: 5 };
/** Many entries: deflated. */
const MANY = Array.from({ length: 60 }, (_, i) => entryOf(`config/key-${i}`, vectorOf(1, 1, 1), `value ${i}`));

const kind = <T extends EventType>(one: SyncKind<T>): SyncKind => one as unknown as SyncKind;

/** A new kind of message is a row here; a type that a sync service takes and that is missing fails the test. */
export const SYNC_KINDS: readonly SyncKind[] = [
  kind({
    ...{ type: 'meridian.state.delta.v1', source: 'shanghai', subject: subject('delta', { origin: 'shanghai' }) },
    decode: decodeDelta,
    samples: [encodeDelta(delta), encodeDelta({ ...delta, entries: [] }), encodeDelta({ ...delta, entries: MANY })],
  }),
  kind({
    ...{ type: 'meridian.state.head.v1', source: 'shanghai', subject: subject('head', { origin: 'shanghai' }) },
    decode: decodeHead,
    samples: [encodeHead(head), encodeHead({ ...head, digest: '', vector: WIDE })],
  }),
  kind({
    ...{ type: 'meridian.state.fetch.v1', source: 'shanghai', subject: subject('stateFetch', { target: 'beijing' }) },
    decode: decodeFetchRequest,
    samples: [encodeFetchRequest(request), encodeFetchRequest({ ...request, vector: vectorOf(1) })],
  }),
  kind({
    ...{
      type: 'meridian.state.fetched.v1',
      source: 'shanghai',
      subject: subject('stateFetch', { target: 'shanghai' }),
    },
    ...{ isAnswer: true, decode: decodeFetchAnswer },
    samples: [encodeFetchAnswer(answer), encodeFetchAnswer({ ...answer, entries: [], nextKey: '' })],
  }),
  kind({
    ...{ type: 'meridian.state.record.v1', source: 'beijing' },
    subject: subject('state', { origin: 'beijing', key: modelKey('centernet-320') }),
    decode: decodeLogRecord,
    samples: [encodeLogRecord(record), encodeLogRecord(grouped), encodeLogRecord({ ...META, meta })],
  }),
  kind({
    ...{ type: 'meridian.state.version.v1', source: 'beijing', decode: decodeSeen },
    subject: subject('history', { origin: 'beijing', key: 'config/alpha' }),
    samples: (ENTRIES[0] as Entry).versions.map((version) => encodeSeen('config/alpha', version)),
  }),
  kind({
    ...{ type: 'meridian.blob.ask.v1', source: 'shanghai', subject: subject('blobChunk', { target: 'beijing' }) },
    decode: decodeBlobAsk,
    samples: [
      { digest: DIGEST, offset: 0n, maxBytes: 65_536 },
      { digest: DIGEST, offset: 2n ** 40n, maxBytes: 1 },
    ],
  }),
  kind<'meridian.blob.chunk.v1'>({
    ...{ type: 'meridian.blob.chunk.v1', source: 'shanghai', subject: subject('blobChunk', { target: 'shanghai' }) },
    // Any bytes may be a chunk: whether they are the right ones is seen by the digest of the whole.
    ...{ isAnswer: true, decode: ({ totalBytes }) => totalBytes },
    samples: [
      { chunk: Buffer.alloc(2_000, 'weights'), totalBytes: 2_000n },
      { chunk: new Uint8Array(0), totalBytes: 0n },
    ],
  }),
];

/** Good messages of the kind, each with the envelope of a real emitter. */
export function goodMessages(one: SyncKind): WireMessage[] {
  const speak = speaker(one.source);
  return one.samples.map((sample) => speak(one.subject, one.type, sample as never));
}

/** Says something as the sync service of a region does, whatever it is. */
export type Speaker = <T extends EventType>(
  on: string,
  type: T,
  data: MessageInitShape<(typeof EVENT_TYPES)[T]>,
) => WireMessage;

export function speaker(region: string): Speaker {
  const emitter = new Emitter({
    ...{ region, service: 'sync', replica: '1', incarnation: 'i1', clock: systemClock },
    hlc: new HybridLogicalClock(() => systemClock.nowMs(), { driftMaxMs: 1_000 }),
    knowledge: () => vectorOf(7, 8, 9),
  });
  return (on, type, data) => {
    const schema: GenMessage<never> = EVENT_TYPES[type] as never;
    const envelope = emitter.envelope({ type, data: data as never });
    return { subject: on, headers: encodeEnvelope(envelope), data: toBinary(schema, create(schema, data as never)) };
  };
}
