import { create, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import type { GenMessage } from '@bufbuild/protobuf/codegenv2';
import {
  type Envelope,
  EVENT_TYPES,
  type EventData,
  type EventType,
  encodeEnvelope,
  parseSubject,
  STREAMS,
  SUBJECTS,
  type SubjectKind,
  type SubjectRow,
} from '@meridian/contracts';
import { assert, Failure } from '@meridian/failure';
import type { Emitter } from './emitter.ts';
import type { Outgoing } from './message-bus.ts';

/** Of an event that no stream stores; those have the limit of their stream. */
export const CORE_MESSAGE_BYTES_MAX = 4 * 2 ** 20;

/** An event as it travels. Headers are printable ASCII; their order is fixed. */
export interface EncodedEvent {
  readonly envelope: Envelope;
  readonly headers: [name: string, value: string][];
  readonly data: Uint8Array;
}

const rows: Readonly<Record<SubjectKind, SubjectRow>> = SUBJECTS;

export function rowOf(kind: SubjectKind): SubjectRow {
  return rows[kind];
}

/** The most that an event of the kind may have, headers included when a stream stores it. */
export function messageBytesMax(kind: SubjectKind): number {
  return bytesMaxOfKind.get(kind) ?? CORE_MESSAGE_BYTES_MAX;
}

const bytesMaxOfKind = new Map(STREAMS.map((stream) => [stream.kind, stream.messageBytesMax]));

/** @throws Failure INVALID_ARGUMENT / MESSAGE_TOO_LARGE, and what the emitter throws. */
export function encodeEvent<T extends EventType>(emitter: Emitter, subject: string, event: Outgoing<T>): EncodedEvent {
  const parsed = parseSubject(subject);
  assert(parsed !== undefined, `${subject} is a subject of the table`);
  assert(rowOf(parsed.kind).types.includes(event.type), `${event.type} may be sent on ${parsed.kind} subjects`);
  return encode(emitter, event, messageBytesMax(parsed.kind));
}

/** An answer: its subject is an inbox, which no row describes. */
export function encodeReply(emitter: Emitter, event: Outgoing): EncodedEvent {
  return encode(emitter, event, CORE_MESSAGE_BYTES_MAX);
}

function encode(emitter: Emitter, event: Outgoing, bytesMax: number): EncodedEvent {
  const schema: GenMessage<Message> = EVENT_TYPES[event.type];
  const data = toBinary(schema, create(schema, event.data));
  if (data.length > bytesMax)
    throw new Failure('INVALID_ARGUMENT', `an event of ${data.length} bytes; at most ${bytesMax} are allowed`, {
      reason: 'MESSAGE_TOO_LARGE',
      details: { type: event.type },
    });
  const envelope = emitter.envelope(event);
  return { envelope, headers: encodeEnvelope(envelope), data };
}

/** @throws whatever the decoder throws on bytes that are not such a message. */
export function decodeData<T extends EventType>(type: T, data: Uint8Array): EventData<T> {
  const schema: GenMessage<Message> = EVENT_TYPES[type];
  return fromBinary(schema, data) as EventData<T>;
}
