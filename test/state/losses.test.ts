import { describe, expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import { judge, type Shown, type Write } from './losses.ts';
import { heldByWipedStoreOnly } from './wiped-store.ts';

/** Goal: the judge finds every loss that is planted, and blames no write for what it need not answer for. */
const put = (id: string, saw: readonly string[] = [], more: Partial<Write> = {}): Write => ({
  ...{ id, saw, region: 'beijing', key: 'k', isDelete: false, outcome: 'acknowledged' },
  ...more,
});
const shows = (...regions: readonly (readonly string[])[]): ReadonlyMap<string, Shown> =>
  new Map(regions.map((ids, i) => [`r${i}`, new Map([['k', new Set(ids)]])]));
const kinds = (writes: readonly Write[], shown: ReadonlyMap<string, Shown>, excused: readonly string[] = []) =>
  judge(writes, shown, new Set(excused)).faults.map(({ kind, id, region }) => `${kind} ${id} ${region}`);

describe('acknowledged writes', () => {
  test('are shown everywhere, or superseded by one that had seen them', () => {
    expect(kinds([put('a'), put('b', ['a'])], shows(['b'], ['b']))).toEqual([]);
    expect(kinds([put('a'), put('b')], shows(['a', 'b'], ['b', 'a']))).toEqual([]);
    expect(kinds([put('a'), put('d', ['a'], { isDelete: true })], shows([], []))).toEqual([]);
  });

  test('that one region does not show are lost, also when a write that did not see them is there', () => {
    expect(kinds([put('a'), put('b')], shows(['a', 'b'], ['b']))).toEqual(['lost a r1']);
    expect(kinds([put('a')], new Map([['r0', new Map()]]))).toEqual(['lost a r0']);
  });

  test('are not explained by a refused write, nor by an uncertain one that never came to be', () => {
    expect(kinds([put('a'), put('b', ['a'], { outcome: 'refused' })], shows([]))).toEqual(['lost a r0']);
    expect(kinds([put('a'), put('b', ['a'], { outcome: 'uncertain' })], shows([]))).toEqual(['lost a r0']);
    const seenSince = [put('a'), put('b', ['a'], { outcome: 'uncertain' }), put('c', ['b'])];
    expect(kinds(seenSince, shows(['c']))).toEqual([]);
  });

  test('that came back after a certain write had superseded them are found', () => {
    expect(kinds([put('a'), put('b', ['a'])], shows(['a', 'b'], ['b']))).toEqual(['resurrected a r0']);
    const uncertain = [put('a'), put('d', ['a'], { isDelete: true, outcome: 'uncertain' })];
    expect([kinds(uncertain, shows(['a'])), kinds(uncertain, shows([]))]).toEqual([[], []]);
  });
});

test('refused writes and values that nobody wrote are shown nowhere', () => {
  const writes = [put('a', [], { outcome: 'refused' }), put('b', [], { key: 'other' })];
  expect(kinds(writes.slice(0, 1), shows(['a', 'x']))).toEqual(['refused-but-written a r0', 'unknown x r0']);
  expect(kinds(writes.slice(1), shows(['b']))).toEqual(['unknown b r0', 'lost b r0']);
});

describe('a store that was lost', () => {
  test('excuses what only it had: gone, or there all the same; and what that had superseded is back', () => {
    const writes = [put('a'), put('b', ['a'])];
    expect(kinds(writes, shows(['a'], ['a']))).toContain('lost b r0');
    expect(judge(writes, shows(['a'], ['a']), new Set(['b']))).toEqual({ faults: [], excused: ['b'] });
    expect(judge(writes, shows(['b'], ['b']), new Set(['b']))).toEqual({ faults: [], excused: [] });
    expect(kinds(writes, shows([], []), ['b'])).toEqual(['lost a r0', 'lost a r1']);
  });

  test('is judged by the heads of the others', () => {
    const [actor, before] = [actorId('beijing', 7n), actorId('beijing', 6n)];
    const heads = [VersionVector.of([[actor, 3]]), VersionVector.of([[actor, 5]])];
    const writes = [
      { id: 'a', dot: { actor, counter: 5 } },
      { id: 'b', dot: { actor, counter: 6 } },
      { id: 'c', dot: { actor: before, counter: 1 } },
    ];
    expect([...heldByWipedStoreOnly(writes, heads)]).toEqual(['b', 'c']);
    expect(heldByWipedStoreOnly(writes, []).size).toBe(3);
  });
});
