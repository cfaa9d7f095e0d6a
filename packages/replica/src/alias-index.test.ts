import { describe, expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import { type AliasRoll, NO_EVIDENCE, phaseOf, type RegionPhase, rollState, settledTarget } from './alias.ts';
import { encodeAlias, encodePhase } from './alias-codec.ts';
import { AliasIndex } from './alias-index.ts';
import type { Entry } from './entry.ts';
import { aliasKey, rollKey } from './state-key.ts';

const ACTORS = { beijing: actorId('beijing', 1n), shanghai: actorId('shanghai', 1n) };
const OLD = { model: 'small', digest: 'sha256:a' };
const NEW = { model: 'large', digest: 'sha256:b' };
const ROLL: AliasRoll = {
  ...{ alias: 'detector', old: OLD, new: NEW, rollId: 'r1', waves: [['beijing'], ['shanghai']], leaseMs: 60_000 },
  generations: new Map([
    ['beijing', 0],
    ['shanghai', 2],
  ]),
  gate: { tasksMin: 50, errorFactor: 2, errorShareFloor: 0.02, p95Factor: 3.5, skipTasks: false },
  ...{ region: 'beijing', startedMs: 1_000 },
};
const PHASE: RegionPhase = {
  ...{ rollId: 'r1', phase: 'passed', reason: '', sinceMs: 2_000, hasPassed: true },
  ...{ old: { tasks: 60, errors: 1, p95Ms: 10 }, new: NO_EVIDENCE },
};

function entry(key: string, values: Partial<Record<keyof typeof ACTORS, Uint8Array>>, wallMs = 1): Entry {
  const versions = Object.entries(values).map(([region, value], i) => ({
    dot: { actor: ACTORS[region as keyof typeof ACTORS], counter: 1 },
    ...{ hlc: { wallMs: wallMs + i, logical: 0 }, value, deleted: value.length === 0 },
  }));
  return { key, versions, context: VersionVector.of(versions.map(({ dot }) => [dot.actor, dot.counter])) };
}

function indexOf(...entries: readonly Entry[]): AliasIndex {
  const index = new AliasIndex();
  for (const one of entries) index.update(one);
  return index;
}

const alias = (roll = ROLL) => entry(aliasKey('detector'), { beijing: encodeAlias(roll) });
const phase = (region: string, change: Partial<RegionPhase> = {}) =>
  entry(rollKey('detector', region), { beijing: encodePhase({ ...PHASE, ...change }) });

describe('AliasIndex', () => {
  test('reads what was written', () => {
    const found = indexOf(alias(), phase('beijing')).get('detector');
    expect(found).toEqual({ roll: ROLL, losers: [], phases: new Map([['beijing', PHASE]]) });
  });

  test('the winner counts, concurrent records that lost are shown', () => {
    const other = encodeAlias({ ...ROLL, rollId: 'r2', new: OLD });
    const index = indexOf(entry(aliasKey('detector'), { beijing: other, shanghai: encodeAlias(ROLL) }));
    expect(index.get('detector')).toMatchObject({ roll: { rollId: 'r1' }, losers: [{ rollId: 'r2' }] });
    index.update(alias());
    expect(index.get('detector')?.losers).toEqual([]);
  });

  test('a deleted alias is none, and one that cannot be read is none and said to be', () => {
    const index = indexOf(alias());
    expect(index.update(entry(aliasKey('detector'), { beijing: new Uint8Array(0) }))).toBe(true);
    expect([index.get('detector'), index.names()]).toEqual([undefined, []]);
    const twice = { ...ROLL, waves: [['beijing'], ['beijing']] };
    for (const value of [Buffer.from('?'), encodeAlias({ ...ROLL, alias: 'other' }), encodeAlias(twice)])
      expect(index.update(entry(aliasKey('detector'), { beijing: value }))).toBe(false);
    expect(index.get('detector')).toBeUndefined();
  });
});

describe('what an alias means', () => {
  const target = (index: AliasIndex, region: string) => index.target('detector', region)?.model;

  test.each([
    ['nothing yet', [], ['small', 'small'], 'under-way'],
    ['getting ready', [phase('beijing', { phase: 'loading', hasPassed: false })], ['small', 'small'], 'under-way'],
    ['on trial', [phase('beijing', { phase: 'serving-new', hasPassed: false })], ['large', 'small'], 'under-way'],
    ['passed in the first', [phase('beijing')], ['large', 'small'], 'under-way'],
    ['cut off in the first', [phase('beijing', { phase: 'cut-off' })], ['small', 'small'], 'under-way'],
    ['a phase of another roll', [phase('beijing', { rollId: 'r0' })], ['small', 'small'], 'under-way'],
    ['passed in both', [phase('beijing'), phase('shanghai')], ['large', 'large'], 'complete'],
    [
      'passed in both, one cut off',
      [phase('beijing', { phase: 'cut-off' }), phase('shanghai')],
      ['large', 'large'],
      'complete',
    ],
    [
      'failed in the second',
      [phase('beijing'), phase('shanghai', { phase: 'failed', hasPassed: false })],
      ['small', 'small'],
      'failed',
    ],
  ] as const)('with %s', (_, phases, models, state) => {
    const index = indexOf(alias(), ...phases);
    expect([target(index, 'beijing'), target(index, 'shanghai')]).toEqual(models);
    const found = index.get('detector');
    expect(found && rollState(found.roll, found.phases)).toBe(state);
    expect(found && settledTarget(found.roll, found.phases)?.model).toBe(
      state === 'under-way' ? undefined : state === 'failed' ? 'small' : 'large',
    );
  });

  test('in a region that the roll does not name, follows when all others have passed', () => {
    const index = indexOf(alias(), phase('beijing'));
    expect(target(index, 'guangzhou')).toBe('small');
    index.update(phase('shanghai'));
    expect(target(index, 'guangzhou')).toBe('large');
  });

  test('without waves is the new one everywhere, and what is no alias means nothing', () => {
    const index = indexOf(alias({ ...ROLL, waves: [] }));
    expect([target(index, 'beijing'), target(index, 'guangzhou')]).toEqual(['large', 'large']);
    expect(index.target('other', 'beijing')).toBeUndefined();
    expect(phaseOf(ROLL, new Map(), 'beijing')).toBeUndefined();
  });
});
