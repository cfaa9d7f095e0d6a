import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  type ActorId,
  formatTimestamp,
  isActorId,
  parseTimestamp,
  TIMESTAMP_ZERO,
  VersionVector,
} from '@meridian/causality';
import {
  type DeltaSchema,
  EntryBlockSchema,
  type FetchRequestSchema,
  type FetchResponseSchema,
  type HeadSchema,
  type LogRecordSchema,
  type ActorCounter as WireActorCounter,
  type Delta as WireDelta,
  type EntryBlock as WireEntryBlock,
  type FetchRequest as WireFetchRequest,
  type FetchResponse as WireFetchResponse,
  type Head as WireHead,
  type LogMeta as WireLogMeta,
  type LogRecord as WireLogRecord,
} from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { decodeEntry, encodeEntry, KEY_CHARS_MAX } from '@meridian/replica';
import { LIVES_MAX } from '../replication/peer-knowledge.ts';
import {
  type Delta,
  type FetchAnswer,
  type FetchRequest,
  type Group,
  type Head,
  KEYS_ASKED_MAX,
  type Lineage,
  type LogRecord,
  META_KEY,
  type Meta,
} from '../replication/protocol.ts';
import { CONTEXT_ENTRIES_MAX, decodeBlock, encodeBlock } from './entry-block.ts';

/** Wire ↔ domain of the replication. Decoding throws Failure INVALID_ARGUMENT naming what is wrong; not retryable. */
export function encodeLogRecord(record: LogRecord): MessageInitShape<typeof LogRecordSchema> {
  const { entry, meta, lineage, clock, last, group } = record;
  return {
    ...(entry !== undefined && { entry: encodeEntry(entry) }),
    ...(meta !== undefined && {
      meta: {
        collected: encodeCounters(meta.collected),
        generation: meta.generation,
        distrustedUntil: BigInt(meta.distrustedUntil),
        identity: meta.identity ?? '',
      },
    }),
    actor: lineage.actor ?? '',
    counter: BigInt(lineage.counter),
    clock: encodeCounters(clock),
    lastHlc: formatTimestamp(last),
    ...(group !== undefined && { groupSize: group.size, groupLast: BigInt(group.last) }),
    ...(group?.before !== undefined && { before: encodeEntry(group.before) }),
  };
}

export function decodeLogRecord(wire: WireLogRecord): LogRecord {
  // A record of a release before has the clock as a text.
  const clock =
    wire.versionVector === '' ? decodeCounters('record', wire.clock) : decodeVector('record', wire.versionVector);
  // Nor has it the time; its versions have.
  const last = wire.lastHlc === '' ? TIMESTAMP_ZERO : parseTimestamp(wire.lastHlc);
  if (last === undefined) throw invalid('record', 'last_hlc');
  const group = wire.groupSize === 0 ? {} : { group: decodeGroup(wire) };
  const common = { lineage: decodeLineage(wire.actor, wire.counter), clock, last, ...group };
  if (wire.meta !== undefined) return { key: META_KEY, meta: decodeMeta(wire.meta), ...common };
  if (wire.entry === undefined) throw invalid('record', 'entry');
  const entry = decodeEntry(wire.entry);
  return { key: entry.key, entry, ...common };
}

/** @param mayDeflate false for measuring */
export function encodeDelta(delta: Delta, mayDeflate = true): MessageInitShape<typeof DeltaSchema> {
  return {
    block: encodeBlock(delta.entries, { context: delta.to, mayDeflate }),
    fromVector: delta.from.toString(),
    listsVector: delta.lists.toString(),
    generation: delta.generation,
    forgotten: encodeCounters(delta.forgotten),
  };
}

export function decodeDelta(wire: WireDelta): Delta {
  const { entries, context: to } = decodeBlock(wire.block ?? EMPTY_BLOCK);
  const from = decodeVector('delta', wire.fromVector, CONTEXT_ENTRIES_MAX);
  const lists = decodeVector('delta', wire.listsVector, CONTEXT_ENTRIES_MAX);
  if (wire.forgotten.length > CONTEXT_ENTRIES_MAX) throw invalid('delta', 'forgotten');
  const forgotten = decodeCounters('delta', wire.forgotten);
  return { generation: wire.generation, entries, from, to, lists, forgotten };
}

export function encodeHead(head: Head): MessageInitShape<typeof HeadSchema> {
  return {
    versionVector: head.vector.toString(),
    life: BigInt(`0x${head.life}`),
    actor: head.actor ?? '',
    sequence: BigInt(head.sequence),
    generation: head.generation,
    sentUnixMs: BigInt(head.sentAtMs),
    digest: head.digest,
    isRecovering: head.isRecovering,
    knownUntilUnixMs: BigInt(head.knownUntilMs),
    rounds: BigInt(head.rounds),
    lastFetchUnixMs: BigInt(head.lastFetchAtMs),
    conflicts: head.conflicts,
  };
}

export function decodeHead(wire: WireHead): Head {
  if (!/^(?:[0-9a-f]{32})?$/.test(wire.digest)) throw invalid('head', 'digest');
  return {
    vector: decodeVector('head', wire.versionVector),
    life: wire.life.toString(16).padStart(16, '0'),
    actor: wire.actor === '' ? undefined : decodeActor('head', wire.actor),
    sequence: decodeNumber('head', 'sequence', wire.sequence),
    generation: wire.generation,
    sentAtMs: decodeNumber('head', 'time', wire.sentUnixMs),
    digest: wire.digest,
    isRecovering: wire.isRecovering,
    knownUntilMs: decodeNumber('head', 'known_until', wire.knownUntilUnixMs),
    rounds: decodeNumber('head', 'rounds', wire.rounds),
    lastFetchAtMs: decodeNumber('head', 'last_fetch', wire.lastFetchUnixMs),
    conflicts: wire.conflicts,
  };
}

export function encodeFetchRequest(request: FetchRequest): MessageInitShape<typeof FetchRequestSchema> {
  return {
    versionVector: request.vector.toString(),
    maxBytes: request.bytesMax,
    afterKey: request.afterKey,
    region: request.region,
    generation: request.generation,
    keys: [...request.keys],
    isRepair: request.isRepair,
    isAway: request.isAway,
  };
}

export function decodeFetchRequest(wire: WireFetchRequest): FetchRequest {
  const { region, afterKey, generation, keys, isRepair, isAway } = wire;
  if (afterKey.length > KEY_CHARS_MAX) throw invalid('fetch', 'after_key');
  if (keys.length > KEYS_ASKED_MAX || keys.some((key) => key.length > KEY_CHARS_MAX)) throw invalid('fetch', 'keys');
  const vector = decodeVector('fetch', wire.versionVector);
  return { region, generation, vector, afterKey, bytesMax: wire.maxBytes, keys, isRepair, isAway };
}

export function encodeFetchAnswer(answer: FetchAnswer): MessageInitShape<typeof FetchResponseSchema> {
  return {
    block: encodeBlock(answer.entries, { context: answer.vector }),
    nextKey: answer.nextKey,
    generation: answer.generation,
    isWholeRange: answer.isWholeRange,
    isRefused: answer.isRefused,
    isRecovering: answer.isRecovering,
    heardActors: [...answer.heardActors],
    sentUnixMs: BigInt(answer.sentAtMs),
    collected: encodeCounters(answer.collected),
  };
}

export function decodeFetchAnswer(wire: WireFetchResponse): FetchAnswer {
  const { nextKey, generation, isWholeRange, isRefused, isRecovering } = wire;
  if (nextKey.length > KEY_CHARS_MAX) throw invalid('fetched', 'next_key');
  const { entries, context: vector } = decodeBlock(wire.block ?? EMPTY_BLOCK);
  if (wire.heardActors.length > LIVES_MAX) throw invalid('fetched', 'heard_actors');
  const heardActors = wire.heardActors.map((actor) => decodeActor('fetched', actor));
  const sentAtMs = decodeNumber('fetched', 'time', wire.sentUnixMs);
  const flags = { isWholeRange, isRefused, isRecovering };
  if (wire.collected.length > CONTEXT_ENTRIES_MAX) throw invalid('fetched', 'collected');
  const collected = decodeCounters('fetched', wire.collected);
  return { generation, entries, vector, nextKey, ...flags, collected, heardActors, sentAtMs };
}

const EMPTY_BLOCK: WireEntryBlock = create(EntryBlockSchema);

export function decodeVector(message: string, text: string, entriesMax?: number): VersionVector {
  const vector = VersionVector.parse(text, entriesMax);
  if (vector === undefined) throw invalid(message, 'version vector');
  return vector;
}

function decodeGroup({ groupSize, groupLast, before }: WireLogRecord): Group {
  const last = decodeNumber('record', 'group_last', groupLast, 1);
  return { size: groupSize, last, before: before && decodeEntry(before) };
}

function decodeMeta(wire: WireLogMeta): Meta {
  return {
    collected: decodeCounters('record', wire.collected),
    generation: wire.generation,
    distrustedUntil: decodeNumber('record', 'distrusted_until', wire.distrustedUntil),
    ...(wire.identity !== '' && { identity: wire.identity }),
  };
}

function encodeCounters(vector: VersionVector): { readonly actor: string; readonly counter: bigint }[] {
  return Array.from(vector.entries(), ([actor, counter]) => ({ actor, counter: BigInt(counter) }));
}

function decodeCounters(message: string, wire: readonly WireActorCounter[]): VersionVector {
  return VersionVector.of(
    wire.map(
      ({ actor, counter }) => [decodeActor(message, actor), decodeNumber(message, 'counter', counter, 1)] as const,
    ),
  );
}

function decodeActor(message: string, actor: string): ActorId {
  if (!isActorId(actor)) throw invalid(message, 'actor');
  return actor;
}

function decodeLineage(actor: string, counter: bigint): Lineage {
  if (actor === '' && counter === 0n) return { actor: undefined, counter: 0 };
  return { actor: decodeActor('record', actor), counter: decodeNumber('record', 'counter', counter, 1) };
}

function decodeNumber(message: string, field: string, value: bigint, min = 0): number {
  if (value < BigInt(min) || value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid(message, field);
  return Number(value);
}

function invalid(message: string, field: string): Failure {
  return new Failure('INVALID_ARGUMENT', `${message}: the ${field} is not valid`, { reason: 'REPLICATION_INVALID' });
}
