import { describe, expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import fc from 'fast-check';
import { CAUSES_MAX, decodeEnvelope, type Envelope, encodeEnvelope, isTenant, regionOfSource } from './envelope.ts';
import { EVENT_TYPES, type EventType } from './event-types.ts';

const ids = fc.stringMatching(/^[A-Za-z0-9_.:#/@-]{1,128}$/);
const hex = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`));

const envelopes: fc.Arbitrary<Envelope> = fc.record(
  {
    id: ids,
    source: fc.stringMatching(/^\/[a-z0-9-]{1,63}\/[a-z0-9-]{1,63}\/[A-Za-z0-9_-]{1,63}$/),
    type: fc.constantFrom(...(Object.keys(EVENT_TYPES) as EventType[])),
    timeMs: fc.integer({ min: 0, max: 4_102_444_800_000 }),
    hlc: fc.record({ wallMs: fc.integer({ min: 0, max: 2 ** 48 - 1 }), logical: fc.integer({ min: 0, max: 0xffff }) }),
    vector: fc
      .array(
        fc.tuple(
          fc.stringMatching(/^[a-z0-9]{1,12}$/),
          fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
          fc.integer({ min: 1, max: 2 ** 53 - 1 }),
        ),
        {
          maxLength: 64,
        },
      )
      .map((entries) => VersionVector.of(entries.map(([region, epoch, n]) => [actorId(region, epoch), n] as const))),
    causes: fc.array(ids, { maxLength: CAUSES_MAX }),
    tenant: fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/),
    traceparent: fc.tuple(hex(32), hex(16)).map(([trace, span]) => `00-${trace}-${span}-01`),
    tracestate: fc.stringMatching(/^[a-z]{1,8}=[a-z0-9]{1,20}$/),
    signature: fc.base64String({ minLength: 4, maxLength: 88 }),
  },
  { requiredKeys: ['id', 'source', 'type', 'timeMs', 'hlc', 'vector', 'causes', 'tenant'] },
);

const EXAMPLE: Envelope = {
  id: 'beijing.scheduler.x.1',
  source: '/beijing/scheduler/1',
  type: 'meridian.task.claim.v1',
  timeMs: 1_700_000_000_000,
  hlc: { wallMs: 1_700_000_000_000, logical: 3 },
  vector: VersionVector.of([[actorId('beijing', 1n), 4]]),
  causes: ['a', 'b'],
  tenant: 'public',
};

function reader(headers: readonly (readonly [string, string])[]): (name: string) => string {
  const map = new Map(headers);
  return (name) => map.get(name) ?? '';
}

describe('envelope', () => {
  test('decoding what was encoded gives it back', () => {
    fc.assert(
      fc.property(envelopes, (envelope) => {
        const decoded = decodeEnvelope(reader(encodeEnvelope(envelope)));
        expect({ ...decoded, vector: decoded.vector.toString() }).toEqual({
          ...envelope,
          vector: envelope.vector.toString(),
        });
      }),
    );
  });

  test('headers are printable ASCII without line breaks', () => {
    fc.assert(
      fc.property(envelopes, (envelope) => {
        for (const [name, value] of encodeEnvelope(envelope)) {
          expect(name).toMatch(/^[a-z-]+$/);
          expect(value).toMatch(/^[\x20-\x7e]*$/);
        }
      }),
    );
  });

  test.each([
    ['ce-specversion', '0.3'],
    ['ce-specversion', undefined],
    ['ce-id', undefined],
    ['ce-id', 'a,b'],
    ['ce-id', 'x'.repeat(129)],
    ['ce-source', 'beijing'],
    ['ce-source', '/Beijing/scheduler/1'],
    ['ce-source', undefined],
    ['ce-type', 'meridian.unknown.v1'],
    ['ce-type', 'toString'],
    ['ce-type', undefined],
    ['ce-time', 'yesterday'],
    ['ce-time', `2024-01-01T00:00:00.${'0'.repeat(40)}Z`],
    ['ce-time', undefined],
    ['ce-datacontenttype', 'application/json'],
    ['ce-datacontenttype', undefined],
    ['ce-hlc', '00'],
    ['ce-hlc', 'ABCDEF0123456789'],
    ['ce-hlc', undefined],
    ['ce-versionvector', 'beijing=1'],
    ['ce-versionvector', 'b@0000000000000001=1,a@0000000000000001=1'],
    ['ce-versionvector', `a@0000000000000001=${'9'.repeat(9000)}`],
    ['ce-causationid', 'a,,b'],
    [
      'ce-causationid',
      Array(CAUSES_MAX + 1)
        .fill('a')
        .join(','),
    ],
    ['ce-tenant', 'Public'],
    ['ce-tenant', undefined],
  ])('a bad %s (%p) is a failure that names it', (name, value) => {
    const headers = encodeEnvelope(EXAMPLE).filter(([header]) => header !== name);
    if (value !== undefined) headers.push([name, value]);
    expect(() => decodeEnvelope(reader(headers))).toThrow(
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        reason: 'ENVELOPE_INVALID',
        message: expect.stringContaining(`header ${name}:`),
      }),
    );
  });

  test('a broken trace context costs only itself', () => {
    const headers = [...encodeEnvelope(EXAMPLE), ['traceparent', '00-zz'], ['tracestate', 'x'.repeat(513)]] as const;
    const decoded = decodeEnvelope(reader(headers as readonly (readonly [string, string])[]));
    expect(decoded.traceparent).toBeUndefined();
    expect(decoded.tracestate).toBeUndefined();
  });

  test('whatever the headers hold, the only thing thrown is ENVELOPE_INVALID', () => {
    const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 60 }), fc.constant(''));
    const names = encodeEnvelope({ ...EXAMPLE, traceparent: 'x', tracestate: 'x', signature: 'x' }).map(
      ([name]) => name,
    );
    const changes = fc.dictionary(fc.constantFrom(...names), text, { maxKeys: 4 });
    fc.assert(
      fc.property(changes, (changed) => {
        const headers = reader([...encodeEnvelope(EXAMPLE), ...Object.entries(changed)]);
        try {
          decodeEnvelope(headers);
        } catch (thrown) {
          expect(thrown).toMatchObject({ reason: 'ENVELOPE_INVALID' });
        }
      }),
    );
  });

  test('more causes than may travel are cut when encoded', () => {
    const causes = Array.from({ length: 40 }, (_, n) => `c${n}`);
    const decoded = decodeEnvelope(reader(encodeEnvelope({ ...EXAMPLE, causes })));
    expect(decoded.causes).toEqual(causes.slice(0, CAUSES_MAX));
  });

  test('region of a source; tenants', () => {
    expect(regionOfSource(EXAMPLE.source)).toBe('beijing');
    expect(isTenant('acme-2')).toBe(true);
    for (const text of ['', 'Acme', 'a'.repeat(64), '-a', 'a-', 'a.b']) expect(isTenant(text)).toBe(false);
  });
});
