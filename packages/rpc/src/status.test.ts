import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { Metadata } from '@grpc/grpc-js';
import { describe, expect, test } from '@jest/globals';
import { CODES, type Code, Failure } from '@meridian/failure';
import fc from 'fast-check';
import { failureFromStatus, statusFromFailure } from './status.ts';
import { decodeStatusDetails, encodeStatusDetails } from './status-details.ts';

const word = fc.stringMatching(/^[A-Z][A-Z_]{0,20}$/);
const text = fc.string({ maxLength: 40, unit: 'grapheme' });
const failure = fc
  .record({
    code: fc.constantFrom(...(Object.keys(CODES) as Code[])),
    message: text,
    reason: word,
    retryable: fc.boolean(),
    retryDelayMs: fc.option(fc.nat(3_600_000)),
    details: fc.dictionary(fc.stringMatching(/^[a-z]{1,10}$/), text, { maxKeys: 5 }),
  })
  .filter(({ details }) => !('retryable' in details))
  .map(({ code, message, retryDelayMs, ...rest }) => {
    return new Failure(code, message, { ...rest, ...(retryDelayMs !== null && { retryDelayMs }) });
  });

describe('failure and status', () => {
  test('a failure comes back from its status as it was', () => {
    fc.assert(
      fc.property(failure, (original) => {
        const status = statusFromFailure(original);
        expect(status.code).toBe(CODES[original.code].grpcStatus);
        const { code, message, reason, retryable, retryDelayMs, details } = failureFromStatus(status);
        expect({ code, message, reason, retryable, retryDelayMs, details }).toEqual({
          code: original.code,
          message: original.message.toWellFormed(),
          reason: original.reason,
          retryable: original.retryable,
          retryDelayMs: original.retryDelayMs,
          details: { ...original.details },
        });
      }),
    );
  });

  test('the cause never leaves', () => {
    const status = statusFromFailure(Failure.from(new Error('password=hunter2')));
    const wire = Buffer.concat(status.metadata.get('grpc-status-details-bin') as Buffer[]).toString('latin1');
    expect(status.details + wire).not.toContain('hunter2');
  });

  test('what cannot be sent is cut or repaired, not thrown', () => {
    const details = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`k${n}`, 'x'.repeat(5000)]));
    const status = statusFromFailure(new Failure('INTERNAL', `\ud800${'y'.repeat(5000)}`, { details }));
    expect(() => encodeURI(status.details)).not.toThrow();
    expect(status.details.length).toBe(1024);
    expect((status.metadata.get('grpc-status-details-bin')[0] as Buffer).length).toBeLessThan(8 * 1024);
  });

  test.each([
    [1, 'CANCELLED', false],
    [2, 'INTERNAL', false],
    [4, 'DEADLINE_EXCEEDED', false],
    [11, 'INVALID_ARGUMENT', false],
    [12, 'FAILED_PRECONDITION', false],
    [13, 'UNAVAILABLE', true],
    [14, 'UNAVAILABLE', true],
    [99, 'INTERNAL', false],
  ])('a transport status %i is %s and its text, which has addresses, does not travel', (code, name, retryable) => {
    const details = 'No connection established. Last error: connect ECONNREFUSED 10.0.0.7:4000';
    const failed = failureFromStatus(Object.assign(new Error(details), { code, details, metadata: new Metadata() }));
    expect(failed).toMatchObject({ code: name, retryable });
    expect(failed.message).not.toContain('10.0.0.7');
  });

  test('a thrown value that is no status becomes INTERNAL', () => {
    expect(failureFromStatus(new TypeError('x is not a function'))).toMatchObject({ code: 'INTERNAL' });
    expect(failureFromStatus(undefined)).toMatchObject({ code: 'INTERNAL' });
  });
});

describe('google.rpc on the wire', () => {
  const details = {
    code: 8,
    message: 'busy',
    reason: 'OVERLOADED',
    domain: 'meridian',
    metadata: { queue: '12' },
    retryDelayMs: 1500,
  };
  /** The same status as protobufjs writes it from the public .proto text. */
  const bytes = Buffer.from(
    '08081204627573791a4f0a28747970652e676f6f676c65617069732e636f6d2f676f6f676c652e7270632e4572726f72496e666f12230a0a' +
      '4f5645524c4f4144454412086d6572696469616e1a0b0a057175657565120231321a360a28747970652e676f6f676c65617069732e636f6d' +
      '2f676f6f676c652e7270632e5265747279496e666f120a0a0808011080cab5ee01',
    'hex',
  );

  test('byte for byte what another implementation writes', () => {
    expect(Buffer.from(encodeStatusDetails(details))).toEqual(bytes);
    expect(decodeStatusDetails(bytes)).toEqual(details);
  });

  test('an unknown detail is skipped', () => {
    const help = toBinary(AnySchema, fromBinary(AnySchema, new Uint8Array()));
    const unknown = Buffer.concat([Buffer.from([0x08, 5, 0x1a, help.length]), help, Buffer.from([0x22, 1, 0])]);
    expect(decodeStatusDetails(unknown)).toMatchObject({ code: 5, reason: '' });
  });

  test('garbage gives undefined, never an exception', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => void decodeStatusDetails(bytes)));
    expect(decodeStatusDetails(new Uint8Array(20_000))).toBeUndefined();
  });
});
