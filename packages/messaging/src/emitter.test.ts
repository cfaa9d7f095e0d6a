import { describe, expect, test } from '@jest/globals';
import { actorId, compareTimestamps, HybridLogicalClock, VersionVector } from '@meridian/causality';
import { CAUSES_MAX, decodeEnvelope, encodeEnvelope } from '@meridian/contracts';
import { VirtualClock } from '@meridian/runtime';
import fc from 'fast-check';
import { Emitter, type EmitterOptions } from './emitter.ts';

const LOAD = { type: 'meridian.telemetry.load.v1', data: {} } as const;

function emitter(more: Partial<EmitterOptions> = {}): Emitter {
  const clock = new VirtualClock(1_700_000_000_000);
  return new Emitter({
    region: 'beijing',
    service: 'scheduler',
    replica: '1',
    incarnation: 'x1',
    clock,
    hlc: new HybridLogicalClock(() => clock.nowMs(), { driftMaxMs: 500 }),
    knowledge: () => VersionVector.EMPTY,
    ...more,
  });
}

describe('Emitter', () => {
  test('ids are unique, timestamps rise, and the envelope passes its own check', () => {
    const own = emitter();
    const envelopes = Array.from({ length: 1000 }, () => own.envelope(LOAD));
    expect(new Set(envelopes.map((envelope) => envelope.id)).size).toBe(1000);
    for (const [i, envelope] of envelopes.entries()) {
      const previous = envelopes[i - 1];
      if (previous) expect(compareTimestamps(previous.hlc, envelope.hlc)).toBeLessThan(0);
    }
    const headers = new Map(encodeEnvelope(envelopes[0] ?? own.envelope(LOAD)));
    expect(decodeEnvelope((name) => headers.get(name) ?? '')).toEqual(envelopes[0]);
  });

  test('the vector dominates knowledge and every cause; ids beyond the limit or not valid do not travel', () => {
    const actors = ['beijing', 'shanghai', 'guangzhou'].map((region) => actorId(region, 7n));
    const vectors = fc
      .array(fc.tuple(fc.constantFrom(...actors), fc.integer({ min: 1, max: 99 })), { maxLength: 3 })
      .map(VersionVector.of);
    const causes = fc.array(
      fc.record({ id: fc.oneof(fc.stringMatching(/^[a-z]{1,4}$/), fc.string()), vector: vectors }),
      {
        maxLength: 30,
      },
    );
    fc.assert(
      fc.property(vectors, causes, (knowledge, given) => {
        const envelope = emitter({ knowledge: () => knowledge }).envelope({ ...LOAD, causes: given });
        const least = given.reduce((joined, cause) => joined.merge(cause.vector), knowledge);
        expect(envelope.vector.toString()).toBe(least.toString());
        expect(envelope.causes.length).toBeLessThanOrEqual(CAUSES_MAX);
        const headers = new Map(encodeEnvelope(envelope));
        expect(decodeEnvelope((name) => headers.get(name) ?? '').causes).toEqual(envelope.causes);
      }),
    );
  });

  test('a vector with too many entries is refused by name', () => {
    const many = VersionVector.of(Array.from({ length: 64 }, (_, n) => [actorId(`r${n}`, 1n), 1] as const));
    const one = VersionVector.of([[actorId('other', 1n), 1]]);
    const own = emitter({ knowledge: () => many });
    expect(own.envelope(LOAD).vector.size).toBe(64);
    expect(() => own.envelope({ ...LOAD, causes: [{ id: 'a', vector: one }] })).toThrow(
      expect.objectContaining({ code: 'RESOURCE_EXHAUSTED', reason: 'VECTOR_FULL', retryable: false }),
    );
  });

  test('a tenant that could not be read is refused before it is sent', () => {
    expect(() => emitter().envelope({ ...LOAD, tenant: 'Not a tenant' })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', reason: 'TENANT_INVALID' }),
    );
  });

  test('a name that no id or source may have is a programmer error', () => {
    expect(() => emitter({ region: 'Bei jing' })).toThrow('invariant broken');
    expect(() => emitter({ replica: 'a/b' })).toThrow('invariant broken');
  });

  test('far-future timestamps are told and not adopted', () => {
    const own = emitter();
    const before = own.envelope(LOAD).hlc;
    expect(own.receive({ wallMs: before.wallMs + 501, logical: 0 })).toBe('far-future');
    expect(own.envelope(LOAD).hlc.wallMs).toBe(before.wallMs);
    expect(own.receive({ wallMs: before.wallMs + 400, logical: 0 })).toBe('received');
    expect(own.envelope(LOAD).hlc.wallMs).toBe(before.wallMs + 400);
  });
});
