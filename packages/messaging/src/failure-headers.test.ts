import { describe, expect, test } from '@jest/globals';
import { CODES, type Code, Failure } from '@meridian/failure';
import fc from 'fast-check';
import { decodeFailure, encodeFailure } from './failure-headers.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 40 }).filter((value) => value.isWellFormed());

function reader(headers: readonly (readonly [string, string])[]): (name: string) => string {
  const map = new Map(headers);
  return (name) => map.get(name) ?? '';
}

describe('failure as headers', () => {
  test('comes back as it was, in printable ASCII', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...(Object.keys(CODES) as Code[])),
        text,
        fc.stringMatching(/^[A-Z_]{1,20}$/),
        fc.boolean(),
        fc.option(fc.nat(1e6), { nil: undefined }),
        fc.dictionary(text, text, { maxKeys: 5, noNullPrototype: true }),
        (code, message, reason, retryable, retryDelayMs, details) => {
          const failure = new Failure(code, message, {
            reason,
            retryable,
            details,
            ...(retryDelayMs !== undefined && { retryDelayMs }),
          });
          const headers = encodeFailure(failure);
          for (const [, value] of headers) expect(value).toMatch(/^[\x21-\x7e]*$/);
          const decoded = decodeFailure(reader(headers));
          expect(decoded).toMatchObject({ code, message, reason, retryable, retryDelayMs });
          expect(decoded?.details).toEqual(details);
        },
      ),
    );
  });

  test('is bounded, whatever the failure holds', () => {
    const details = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`k${n}`, 'ü'.repeat(5000)]));
    const headers = encodeFailure(new Failure('INTERNAL', `${'x'.repeat(999)}\ud83d\ude00`, { details }));
    expect(headers.reduce((sum, [, value]) => sum + value.length, 0)).toBeLessThan(32 * 1024);
    expect(decodeFailure(reader(headers))?.message).toHaveLength(1000);
  });

  test('garbage never throws, and an unknown code is INTERNAL', () => {
    expect(decodeFailure(() => '')).toBeUndefined();
    expect(decodeFailure(reader([['meridian-code', 'WHAT']]))).toMatchObject({ code: 'INTERNAL', retryable: false });
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (message, details, delay) => {
        const failure = decodeFailure(
          reader([
            ['meridian-code', 'ABORTED'],
            ['meridian-message', message],
            ['meridian-details', details],
            ['meridian-retrydelayms', delay],
          ]),
        );
        expect(failure?.code).toBe('ABORTED');
      }),
    );
  });
});
