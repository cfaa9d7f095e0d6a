import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from '@jest/globals';
import { AttachResponseSchema } from '@meridian/contracts/collector';
import {
  RecognizeRequestSchema,
  RecognizeStreamRequestSchema,
  SubmitJobRequestSchema,
} from '@meridian/contracts/recognition';
import { WatchResponseSchema } from '@meridian/contracts/state';
import fc from 'fast-check';
import { encodeLarge } from './large-bytes.ts';
import { decodeMessage, encodeMessage } from './message-codec.ts';

const large = (bytes = 20_000) => new Uint8Array(bytes).fill(7);

describe('messages with large bytes', () => {
  test.each([
    ['a field', RecognizeRequestSchema, { tenant: 'a', picture: large(), versionVector: 'v' }],
    ['a field one message down', RecognizeStreamRequestSchema, { sequence: 3n, request: { picture: large() } }],
    [
      'a field in a chosen message',
      AttachResponseSchema,
      { message: { case: 'picture' as const, value: { taskId: 't', fence: 1n, picture: large() } } },
    ],
    ['a chosen field', SubmitJobRequestSchema, { part: { case: 'chunk' as const, value: large() } }],
  ])('%s: the same message is read back', (_, schema, init) => {
    const message = create(schema, init as never);
    const encoded = encodeLarge(schema, message);
    expect(encoded).toBeDefined();
    expect(fromBinary(schema, encoded as Buffer)).toEqual(message);
    expect(encoded).toHaveLength(toBinary(schema, message).length);
  });

  test('the message itself is left as it was', () => {
    const message = create(RecognizeStreamRequestSchema, { sequence: 1n, request: { picture: large() } });
    encodeLarge(RecognizeStreamRequestSchema, message);
    expect(message.request?.picture).toHaveLength(20_000);
  });

  test('others go the general way', () => {
    const small = create(RecognizeRequestSchema, { picture: new Uint8Array(100) });
    expect(encodeLarge(RecognizeRequestSchema, small)).toBeUndefined();
    expect(encodeLarge(WatchResponseSchema, create(WatchResponseSchema, { versionVector: 'v' }))).toBeUndefined();
  });

  test('any size is read back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 70_000 }), fc.string({ unit: 'grapheme' }), (bytes, tenant) => {
        const message = create(RecognizeRequestSchema, { tenant, picture: large(bytes) });
        const read = decodeMessage(
          RecognizeRequestSchema,
          encodeMessage(RecognizeRequestSchema, message, 100_000),
          'INTERNAL',
        );
        expect(read).toEqual(message);
      }),
      { numRuns: 50 },
    );
  });
});

describe('limits and malformed messages', () => {
  test('a message over the limit is refused, and not as retryable', () => {
    expect(() => encodeMessage(RecognizeRequestSchema, { picture: large() }, 10_000)).toThrow(
      expect.objectContaining({ code: 'RESOURCE_EXHAUSTED', reason: 'MESSAGE_TOO_LARGE', retryable: false }),
    );
  });

  test('bytes that are no message are refused', () => {
    expect(() => decodeMessage(RecognizeRequestSchema, new Uint8Array([0xff, 0xff]), 'INVALID_ARGUMENT')).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', reason: 'MESSAGE_MALFORMED' }),
    );
  });
});
