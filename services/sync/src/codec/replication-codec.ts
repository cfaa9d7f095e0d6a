import type { MessageInitShape } from '@bufbuild/protobuf';
import { isActorId, VersionVector } from '@meridian/causality';
import type {
  DeltaSchema,
  FetchRequestSchema,
  FetchResponseSchema,
  LogRecordSchema,
  Delta as WireDelta,
  FetchRequest as WireFetchRequest,
  FetchResponse as WireFetchResponse,
  LogRecord as WireLogRecord,
} from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { decodeEntry, encodeEntry, KEY_CHARS_MAX } from '@meridian/replica';
import type { Lineage } from '../replication/node-clock.ts';
import type { Delta, FetchAnswer, FetchRequest, LogRecord } from '../replication/protocol.ts';

/** Wire ↔ domain of the replication. Decoding throws Failure INVALID_ARGUMENT naming what is wrong; not retryable. */
export function encodeLogRecord(record: LogRecord): MessageInitShape<typeof LogRecordSchema> {
  return {
    entry: encodeEntry(record.entry),
    actor: record.lineage.actor ?? '',
    counter: BigInt(record.lineage.counter),
    versionVector: record.clock.toString(),
  };
}

export function decodeLogRecord(wire: WireLogRecord): LogRecord {
  if (wire.entry === undefined) throw invalid('record', 'entry');
  return {
    entry: decodeEntry(wire.entry),
    lineage: decodeLineage(wire.actor, wire.counter),
    clock: decodeVector('record', wire.versionVector),
  };
}

export function encodeDelta(delta: Delta): MessageInitShape<typeof DeltaSchema> {
  return {
    entries: delta.entries.map(encodeEntry),
    fromVector: delta.from.toString(),
    toVector: delta.to.toString(),
  };
}

export function decodeDelta(wire: WireDelta): Delta {
  const from = decodeVector('delta', wire.fromVector);
  const to = decodeVector('delta', wire.toVector);
  if (!to.dominates(from)) throw invalid('delta', 'vectors: they go back');
  return { entries: wire.entries.map(decodeEntry), from, to };
}

export function encodeFetchRequest(request: FetchRequest): MessageInitShape<typeof FetchRequestSchema> {
  return {
    versionVector: request.vector.toString(),
    maxBytes: request.bytesMax,
    afterKey: request.afterKey,
    region: request.region,
  };
}

export function decodeFetchRequest(wire: WireFetchRequest): FetchRequest {
  if (wire.afterKey.length > KEY_CHARS_MAX) throw invalid('fetch', 'after_key');
  const vector = decodeVector('fetch', wire.versionVector);
  return { region: wire.region, vector, afterKey: wire.afterKey, bytesMax: wire.maxBytes };
}

export function encodeFetchAnswer(answer: FetchAnswer): MessageInitShape<typeof FetchResponseSchema> {
  return {
    entries: answer.entries.map(encodeEntry),
    versionVector: answer.vector.toString(),
    nextKey: answer.nextKey,
  };
}

export function decodeFetchAnswer(wire: WireFetchResponse): FetchAnswer {
  if (wire.nextKey.length > KEY_CHARS_MAX) throw invalid('fetched', 'next_key');
  const vector = decodeVector('fetched', wire.versionVector);
  return { entries: wire.entries.map(decodeEntry), vector, nextKey: wire.nextKey };
}

export function decodeVector(message: string, text: string): VersionVector {
  const vector = VersionVector.parse(text);
  if (vector === undefined) throw invalid(message, 'version vector');
  return vector;
}

function decodeLineage(actor: string, counter: bigint): Lineage {
  if (actor === '' && counter === 0n) return { actor: undefined, counter: 0 };
  if (!isActorId(actor) || counter < 1n || counter > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid('record', 'actor');
  return { actor, counter: Number(counter) };
}

function invalid(message: string, field: string): Failure {
  return new Failure('INVALID_ARGUMENT', `${message}: the ${field} is not valid`, { reason: 'REPLICATION_INVALID' });
}
