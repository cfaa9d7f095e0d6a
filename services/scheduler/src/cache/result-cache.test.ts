import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { cacheKey } from './cache-key.ts';
import { type CachedResult, ENTRY_OVERHEAD_BYTES, type Eviction, ResultCache } from './result-cache.ts';

const TTL_MS = 1000;
const KEY_BYTES = 2;

/** An entry of this many bytes altogether, under a key of two characters. */
function value(bytes: number, taskId = ''): CachedResult {
  const result = new Uint8Array(bytes - ENTRY_OVERHEAD_BYTES - KEY_BYTES - taskId.length);
  return { result, tenant: '', taskId, versionVector: '', computedUnixMs: 0 };
}

function cacheOf(bytesMax: number, entriesMax = 1000) {
  const evictions: Eviction[] = [];
  return { evictions, cache: new ResultCache({ bytesMax, entriesMax, ttlMs: TTL_MS }, (why) => evictions.push(why)) };
}

const kept = (cache: ResultCache, keys: readonly string[], nowMs = 0) =>
  keys.filter((key) => cache.get(key, nowMs) !== undefined);

describe('the result cache', () => {
  test('gives what was put, until its time is over, however often it is asked', () => {
    const { cache, evictions } = cacheOf(100_000);
    const answer = value(1000);
    cache.put('k0', answer, 0);
    expect(cache.get('k0', 1)).toBe(answer);
    expect(cache.get('k0', TTL_MS - 1)).toBe(answer);
    expect(cache.get('k0', TTL_MS)).toBeUndefined();
    expect([cache.size, cache.bytes, evictions]).toEqual([0, 0, ['age']]);
  });

  test('a new answer takes the place of the old one, with a new time', () => {
    const { cache } = cacheOf(100_000);
    cache.put('k0', value(1000, 'a'), 0);
    cache.put('k0', value(1000, 'b'), 600);
    expect(cache.get('k0', 1500)?.taskId).toBe('b');
    expect([cache.size, cache.bytes]).toEqual([1, 1000]);
  });

  test('pushes out the one that was not used for longest', () => {
    const { cache, evictions } = cacheOf(20_000, 3);
    for (const key of ['k0', 'k1', 'k2', 'k3']) cache.put(key, value(1000), 0);
    expect(kept(cache, ['k0', 'k1', 'k2', 'k3'])).toEqual(['k1', 'k2', 'k3']);
    expect(evictions).toEqual(['room']);
  });

  test('keeps what was asked for twice under any number of one-off pictures', () => {
    const { cache } = cacheOf(20_000);
    cache.put('hh', value(1000), 0);
    cache.get('hh', 0);
    for (let i = 0; i < 500; i++) cache.put(`${10 + (i % 90)}`, value(1000), 0);
    expect(cache.get('hh', 0)).toBeDefined();
  });

  test('has room for new ones when all were asked for twice, and the first of these leave', () => {
    const { cache } = cacheOf(20_000);
    const keys = Array.from({ length: 40 }, (_, i) => `${10 + i}`);
    for (const key of keys) {
      cache.put(key, value(1000), 0);
      cache.get(key, 0);
    }
    expect(kept(cache, keys)).toEqual(keys.slice(20));
  });

  test('does not take one that would push out many', () => {
    const { cache } = cacheOf(32_000);
    cache.put('k0', value(2001), 0);
    expect(cache.size).toBe(0);
    cache.put('k1', value(2000), 0);
    expect(cache.size).toBe(1);
  });

  test('is within its bounds after any use, and says what it holds', () => {
    const step = fc.record({
      key: fc.integer({ min: 10, max: 40 }).map(String),
      put: fc.boolean(),
      bytes: fc.integer({ min: 700, max: 3000 }),
      laterMs: fc.integer({ min: 0, max: 300 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 12 }), (steps, entriesMax) => {
        const { cache } = cacheOf(20_000, entriesMax);
        const model = new Map<
          string,
          { readonly answer: CachedResult; readonly putMs: number; readonly bytes: number }
        >();
        let nowMs = 0;
        for (const { key, put, bytes, laterMs } of steps) {
          nowMs += laterMs;
          if (put) {
            const answer = value(bytes);
            if (cache.put(key, answer, nowMs)) model.set(key, { answer, putMs: nowMs, bytes });
            else model.delete(key);
          } else {
            const found = cache.get(key, nowMs);
            const expected = model.get(key);
            if (found !== undefined)
              expect([found, nowMs - (expected?.putMs ?? -TTL_MS) < TTL_MS]).toEqual([expected?.answer, true]);
          }
          expect(cache.bytes).toBeLessThanOrEqual(20_000);
          expect(cache.size).toBeLessThanOrEqual(entriesMax);
        }
        const held = [...model].filter(([key]) => cache.get(key, nowMs) !== undefined);
        expect(held).toHaveLength(cache.size);
        expect(held.reduce((sum, [, { bytes }]) => sum + bytes, 0)).toBe(cache.bytes);
      }),
    );
  });
});

describe('the key', () => {
  const picture = Uint8Array.from({ length: 32 }, (_, i) => i);
  const question = { tenant: 'a', pictureDigest: picture, modelDigest: 'sha256:m', parameters: {} };

  test('does not depend on the order of parameters, nor on where the digest lies in memory', () => {
    const one = cacheKey({ ...question, parameters: { threshold: 0.5, classes: 'cat', tiles: true } });
    const view = Buffer.concat([Buffer.of(9), picture]).subarray(1);
    const other = { tiles: true, classes: 'cat', threshold: 0.5 };
    expect(cacheKey({ ...question, pictureDigest: view, parameters: other })).toBe(one);
    expect(() => cacheKey({ ...question, parameters: { threshold: Number.NaN } })).toThrow(RangeError);
  });

  test('is another for any other tenant, picture, model or parameter', () => {
    const text = fc.oneof(fc.constantFrom('a', 'b', '', '"', ',', '\n', '["a"]', 'a","b'), fc.string({ maxLength: 6 }));
    const scalar = fc.oneof(text, fc.boolean(), fc.integer({ min: -2, max: 2 }), fc.constantFrom(0.5, 1e21));
    const questions = fc.record({
      tenant: text,
      modelDigest: text,
      pictureDigest: fc.uint8Array({ minLength: 2, maxLength: 2, max: 2 }),
      parameters: fc.array(fc.tuple(text, scalar), { maxLength: 2 }).map((pairs) => Object.fromEntries(pairs)),
    });
    const same = (a: unknown, b: unknown) => {
      try {
        expect(a).toEqual(b);
        return true;
      } catch {
        return false;
      }
    };
    fc.assert(
      fc.property(questions, questions, (a, b) => {
        expect(cacheKey(a) === cacheKey(b)).toBe(same(a, b));
      }),
      { numRuns: 2000 },
    );
  });

  test('of one tenant never gives the answer of another, whatever both ask', () => {
    const ask = fc.record({
      tenant: fc.constantFrom('a', 'b', 'a-b', 'public'),
      picture: fc.integer({ min: 0, max: 2 }),
      modelDigest: fc.constantFrom('sha256:1', 'sha256:2'),
    });
    fc.assert(
      fc.property(fc.array(ask, { maxLength: 60 }), (asks) => {
        const { cache } = cacheOf(100_000);
        for (const { tenant, picture: number, modelDigest } of asks) {
          const key = cacheKey({ tenant, modelDigest, pictureDigest: Uint8Array.of(number), parameters: {} });
          const found = cache.get(key, 0);
          const own = `${tenant} ${number} ${modelDigest}`;
          if (found === undefined) cache.put(key, { ...value(1000), taskId: own }, 0);
          else expect(found.taskId).toBe(own);
        }
      }),
    );
  });
});
