import { create, type DescMessage, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import { Failure } from '@meridian/failure';
import { encodeLarge } from './large-bytes.ts';

/**
 * A picture of at most 16 MiB and the fields around it. Checked by the sender, so that it hears of it at once, and by
 * grpc-js on arrival, before the bytes are held.
 */
export const MESSAGE_BYTES_MAX = 17 * 1024 * 1024;

/** @throws Failure RESOURCE_EXHAUSTED / MESSAGE_TOO_LARGE. Not retryable: the same message stays too large. */
export function encodeMessage(schema: DescMessage, message: object, bytesMax: number): Buffer {
  const whole = create(schema, message as Record<string, unknown>);
  const bytes = encodeLarge(schema, whole) ?? toBinary(schema, whole);
  if (bytes.length > bytesMax) {
    throw new Failure('RESOURCE_EXHAUSTED', `a message of ${bytes.length} bytes is over the limit of ${bytesMax}`, {
      reason: 'MESSAGE_TOO_LARGE',
      retryable: false,
    });
  }
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Bytes fields of the result are views: a kept picture keeps the whole message.
 * @throws Failure `code` / MESSAGE_MALFORMED. Not retryable.
 */
export function decodeMessage(schema: DescMessage, bytes: Uint8Array, code: 'INVALID_ARGUMENT' | 'INTERNAL'): Message {
  try {
    return fromBinary(schema, bytes);
  } catch (cause) {
    throw new Failure(code, `the message is not a ${schema.typeName}`, { reason: 'MESSAGE_MALFORMED', cause });
  }
}
