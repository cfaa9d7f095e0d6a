import { create, type Message, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type { GenMessage } from '@bufbuild/protobuf/codegenv2';
import { type Envelope, EVENT_TYPES, type EventType, encodeEnvelope } from '@meridian/contracts';

/** Between name and value of a header, and at its end. */
const HEADER_BYTES = 4;

/** An event as it travels, its envelope's headers included; what the broker and TLS add is not. */
export function eventBytes<T extends EventType>(
  type: T,
  data: MessageInitShape<(typeof EVENT_TYPES)[T]>,
  envelope: Envelope,
): number {
  const schema: GenMessage<Message> = EVENT_TYPES[type];
  const headers = encodeEnvelope(envelope).map(([name, value]) => name.length + value.length + HEADER_BYTES);
  return headers.reduce((sum, bytes) => sum + bytes, toBinary(schema, create(schema, data)).length);
}
