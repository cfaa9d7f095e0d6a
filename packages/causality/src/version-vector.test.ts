import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type ActorId, actorId } from './actor.ts';
import { formatDot, parseDot, VersionVector } from './version-vector.ts';

const actors = ['beijing', 'shanghai', 'guangzhou'].flatMap((region) => [actorId(region, 1n), actorId(region, 2n)]);
const actor = fc.constantFrom(...actors);
const counter = fc.integer({ min: 1, max: 4 });
const vector = fc.array(fc.tuple(actor, counter), { maxLength: 6 }).map((entries) => VersionVector.of(entries));

const same = (a: VersionVector, b: VersionVector) => a.toString() === b.toString();
const leq = (a: VersionVector, b: VersionVector) => b.dominates(a);

describe('partial order', () => {
  test('reflexive, antisymmetric, transitive', () => {
    fc.assert(
      fc.property(vector, vector, vector, (a, b, c) => {
        expect(leq(a, a)).toBe(true);
        if (leq(a, b) && leq(b, a)) expect(same(a, b)).toBe(true);
        if (leq(a, b) && leq(b, c)) expect(leq(a, c)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  test('compare agrees with the sets of dots each vector stands for', () => {
    const dots = (v: VersionVector) =>
      new Set([...v.entries()].flatMap(([a, n]) => Array.from({ length: n }, (_, i) => `${a}/${i + 1}`)));
    fc.assert(
      fc.property(vector, vector, (a, b) => {
        const below = dots(a).isSubsetOf(dots(b));
        const above = dots(b).isSubsetOf(dots(a));
        const expected = above ? (below ? 'equal' : 'after') : below ? 'before' : 'concurrent';
        expect(a.compare(b)).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('merge', () => {
  test('commutative, associative, idempotent, and the least upper bound', () => {
    fc.assert(
      fc.property(vector, vector, vector, (a, b, c) => {
        expect(same(a.merge(b), b.merge(a))).toBe(true);
        expect(same(a.merge(b).merge(c), a.merge(b.merge(c)))).toBe(true);
        expect(same(a.merge(a), a)).toBe(true);
        expect(leq(a, a.merge(b))).toBe(true);
        if (leq(a, c) && leq(b, c)) expect(leq(a.merge(b), c)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('dots', () => {
  test('a vector takes an actor’s dots in order only', () => {
    const one = actors[0] as ActorId;
    const v = VersionVector.EMPTY.with({ actor: one, counter: 1 });
    expect(v.contains({ actor: one, counter: 1 })).toBe(true);
    expect(v.contains({ actor: one, counter: 2 })).toBe(false);
    expect(v.with({ actor: one, counter: 1 })).toBe(v);
    expect(() => v.with({ actor: one, counter: 3 })).toThrow('gap');
  });
});

test('meet is what both have seen: the greatest that both dominate', () => {
  fc.assert(
    fc.property(vector, vector, vector, (a, b, c) => {
      const common = a.meet(b);
      expect(a.dominates(common) && b.dominates(common)).toBe(true);
      if (a.dominates(c) && b.dominates(c)) expect(common.dominates(c)).toBe(true);
      expect(b.meet(a).toString()).toBe(common.toString());
    }),
  );
});

describe('wire form', () => {
  test('round trip, and text order does not depend on insertion order', () => {
    fc.assert(
      fc.property(vector, (v) => {
        const parsed = VersionVector.parse(v.toString());
        expect(parsed?.toString()).toBe(v.toString());
        expect(VersionVector.of([...v.entries()].reverse()).toString()).toBe(v.toString());
      }),
    );
    fc.assert(
      fc.property(actor, counter, (a, n) => {
        expect(parseDot(formatDot({ actor: a, counter: n }))).toEqual({ actor: a, counter: n });
      }),
    );
  });

  test.each([
    'beijing=1',
    'beijing@1=1',
    'beijing@0000000000000001=0',
    'beijing@0000000000000001=-1',
    'beijing@0000000000000001=9007199254740993',
    'beijing@0000000000000001=1, shanghai@0000000000000001=1',
    'shanghai@0000000000000001=1,beijing@0000000000000001=1',
    'beijing@0000000000000001=1,beijing@0000000000000001=2',
    Array.from({ length: 65 }, (_, i) => `r${String(i).padStart(2, '0')}@0000000000000001=1`).join(','),
  ])('refuses %s', (text) => {
    expect(VersionVector.parse(text)).toBeUndefined();
  });

  test('never throws on garbage', () => {
    fc.assert(fc.property(fc.string(), (text) => void VersionVector.parse(text)));
  });
});
