import { describe, expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import { type Entry, isConflicted, winnerOf } from '@meridian/replica';
import fc from 'fast-check';
import { emptyEntry, entryBytes, isSameState, mergeEntries, writeVersion } from './dotted-causal-container.ts';

const KEY = 'model/a';
const actors = ['beijing', 'shanghai', 'guangzhou'].map((region) => actorId(region, 1n));

/** States that replicas can reach: each op is a write (or deletion) at a replica, or a merge from another. */
const op = fc.record({
  at: fc.nat(2),
  from: fc.nat(2),
  writes: fc.boolean(),
  deletes: fc.boolean(),
  text: fc.constantFrom('x', 'y'),
});
const states = fc.array(op, { minLength: 1, maxLength: 14 }).map((ops) => {
  const replicas: Entry[] = actors.map(() => emptyEntry(KEY));
  const counters = [0, 0, 0];
  const reached: Entry[] = [emptyEntry(KEY)];
  for (const [i, { at, from, writes, deletes, text }] of ops.entries()) {
    const before = replicas[at] as Entry;
    if (writes) {
      counters[at] = (counters[at] ?? 0) + 1;
      const dot = { actor: actors[at] as (typeof actors)[number], counter: counters[at] };
      const hlc = { wallMs: i % 3, logical: 0 };
      const value = Buffer.from(deletes ? '' : text);
      replicas[at] = writeVersion(before, { dot, hlc, value, deleted: deletes });
    } else replicas[at] = mergeEntries(before, replicas[from] as Entry);
    reached.push(replicas[at]);
  }
  return reached;
});
const triple = states.chain((reached) =>
  fc.tuple(fc.constantFrom(...reached), fc.constantFrom(...reached), fc.constantFrom(...reached)),
);

describe('merge', () => {
  test('is commutative, associative and idempotent, and its context never shrinks', () => {
    fc.assert(
      fc.property(triple, ([a, b, c]) => {
        expect(isSameState(mergeEntries(a, b), mergeEntries(b, a))).toBe(true);
        const left = mergeEntries(mergeEntries(a, b), c);
        expect(isSameState(left, mergeEntries(a, mergeEntries(b, c)))).toBe(true);
        expect(isSameState(mergeEntries(a, a), a)).toBe(true);
        expect(mergeEntries(a, b).context.toString()).toBe(a.context.merge(b.context).toString());
      }),
      { numRuns: 1000 },
    );
  });

  test('the winner does not depend on the order of merging', () => {
    fc.assert(
      fc.property(triple, ([a, b, c]) => {
        const one = winnerOf(mergeEntries(mergeEntries(a, b), c));
        expect(winnerOf(mergeEntries(c, mergeEntries(b, a)))?.dot).toEqual(one?.dot);
      }),
      { numRuns: 500 },
    );
  });

  test('the same dot with other content is refused', () => {
    const dot = { actor: actors[0] as (typeof actors)[number], counter: 1 };
    const hlc = { wallMs: 1, logical: 0 };
    const one = writeVersion(emptyEntry(KEY), { dot, hlc, value: Buffer.from('x'), deleted: false });
    const other = writeVersion(emptyEntry(KEY), { dot, hlc, value: Buffer.from('y'), deleted: false });
    expect(() => mergeEntries(one, other)).toThrow(expect.objectContaining({ reason: 'DOT_REUSED' }));
  });
});

describe('write', () => {
  const actor = actors[0] as (typeof actors)[number];
  const version = (counter: number, text: string) => ({
    ...{ dot: { actor, counter }, hlc: { wallMs: counter, logical: 0 } },
    ...{ value: Buffer.from(text), deleted: false },
  });

  test('two clients that write in turn with stale contexts leave two versions, not one for each write', () => {
    let entry = emptyEntry(KEY);
    const contexts = [VersionVector.EMPTY, VersionVector.EMPTY];
    for (let i = 1; i <= 1000; i++) {
      entry = writeVersion(entry, version(i, `v${i}`), contexts[i % 2] as VersionVector);
      contexts[i % 2] = entry.context;
      expect(entry.versions.length).toBeLessThanOrEqual(2);
    }
  });

  test('a deletion hides what it saw: a write that it did not see stays, and is what readers see', () => {
    const seen = writeVersion(emptyEntry(KEY), version(1, 'x'));
    const gone = writeVersion(seen, { ...version(2, ''), deleted: true });
    expect(gone.versions.map(({ deleted }) => deleted)).toEqual([true]);
    const elsewhere = { ...version(1, 'y'), dot: { actor: actors[1] as typeof actor, counter: 1 } };
    const both = mergeEntries(gone, writeVersion(seen, elsewhere));
    expect(both.versions).toHaveLength(2);
    expect(isConflicted(both)).toBe(false);
    expect(winnerOf(both)?.value.toString()).toBe('y');
    // What the deletion saw does not come back.
    expect(mergeEntries(both, seen).versions).toHaveLength(2);
  });

  test('the estimated size grows with values and contexts', () => {
    const entry = writeVersion(emptyEntry(KEY), version(1, 'x'.repeat(1000)));
    expect(entryBytes(entry)).toBeGreaterThan(1000);
  });
});
