import { describe, expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import { type Entry, tenantKey } from '@meridian/replica';
import { encodeTenant, parseRule } from '@meridian/residency';
import { DOORS } from '../tasks/task.builders.ts';
import { askedRules, NOTHING_ASKED, Residency } from './residency.ts';

const ACTOR = actorId('beijing', 1n);
const OTHER = actorId('shanghai', 2n);

function entry(name: string, ...values: (Uint8Array | undefined)[]): Entry {
  const versions = values.map((value, i) => ({
    dot: { actor: i === 0 ? ACTOR : OTHER, counter: 1 },
    hlc: { wallMs: i, logical: 0 },
    value: value ?? new Uint8Array(),
    deleted: value === undefined,
  }));
  return { key: tenantKey(name), versions, context: VersionVector.of([[ACTOR, 1]]) };
}

const record = (name: string, rule: string) => encodeTenant({ name, residency: parseRule(rule) });
const asked = (rule: string) => askedRules([{ of: 'the call', rule: parseRule(rule) }]);

function world(...entries: Entry[]) {
  const known = new Map(entries.map((one) => [one.key, one]));
  const missing = { value: false };
  const caughtUp = { value: true };
  const residency = new Residency({
    ...{ region: 'beijing', regions: DOORS, isCaughtUp: () => caughtUp.value },
    state: { get: (key) => known.get(key), missing: (records) => (missing.value ? [...records] : []) },
  });
  const reason = (tenant: string, rule = '') => {
    try {
      residency.requireHere(tenant, rule === '' ? NOTHING_ASKED : asked(rule));
      return '';
    } catch (error) {
      return (error as { reason: string }).reason;
    }
  };
  return { residency, known, missing, caughtUp, reason };
}

describe('a tenant', () => {
  test('without a record is refused, but for the default one', () => {
    const { residency, reason } = world();
    expect(reason('public')).toBe('');
    expect(reason('acme')).toBe('TENANT_UNKNOWN');
    expect(residency.rulingOf('acme', NOTHING_ASKED).territory.allowed.size).toBe(0);
  });

  test('is not taken as unknown, nor as without a rule, before the replica has caught up', () => {
    const { reason, caughtUp } = world();
    caughtUp.value = false;
    expect([reason('public'), reason('acme')]).toEqual(['STARTING', 'STARTING']);
    caughtUp.value = true;
    expect([reason('public'), reason('acme')]).toEqual(['', 'TENANT_UNKNOWN']);
  });

  test('whose record was deleted is unknown', () => {
    expect(world(entry('acme', undefined)).reason('acme')).toBe('TENANT_UNKNOWN');
  });

  test.each([
    ['is of another one', record('other', '')],
    ['is nonsense', Buffer.from('nonsense')],
    ['names a region that is not there', record('acme', 'never=region:atlantis')],
  ])('whose record %s is refused', (_, value) => {
    const { residency, reason } = world(entry('acme', value));
    expect(reason('acme')).toBe('TENANT_UNREADABLE');
    expect(residency.rulingOf('acme', NOTHING_ASKED).territory.allowed.size).toBe(0);
  });

  test('in conflict has all of its rules, and claims name all versions', () => {
    const both = entry('acme', record('acme', 'never=region:guangzhou'), record('acme', 'never=region:shanghai'));
    const { territory, requires } = world(both).residency.rulingOf('acme', NOTHING_ASKED);
    expect([...territory.allowed]).toEqual(['beijing']);
    expect(requires.map(({ dot }) => dot.actor)).toEqual([ACTOR, OTHER]);
    const half = entry('acme', record('acme', ''), Buffer.from('nonsense'));
    expect(world(half).reason('acme')).toBe('TENANT_UNREADABLE');
  });

  test('is judged by its record of now', () => {
    const { residency, known, reason } = world(entry('acme', record('acme', '')));
    expect(reason('acme')).toBe('');
    known.set('tenant/acme', entry('acme', record('acme', 'never=region:beijing')));
    expect(reason('acme')).toBe('RESIDENCY_REGION_NOT_ALLOWED');
    known.delete('tenant/acme');
    expect(reason('acme')).toBe('TENANT_UNKNOWN');
    expect(residency.rulingOf('public', NOTHING_ASKED).territory.isRestricted).toBe(false);
  });

  test('with an older record than a work was accepted with has no place for it', () => {
    const { residency, missing } = world(entry('acme', record('acme', '')));
    const work = {
      tenant: 'acme',
      asked: NOTHING_ASKED,
      requires: [{ key: 'tenant/acme', dot: { actor: OTHER, counter: 9 } }],
    };
    expect(residency.placementOf(work).territory.allowed.size).toBe(3);
    missing.value = true;
    expect(residency.placementOf(work).territory.allowed.size).toBe(0);
    expect(residency.placementOf({ ...work, requires: [] }).territory.allowed.size).toBe(3);
  });
});

describe('a call', () => {
  test('narrows what its tenant allows, and cannot widen it', () => {
    const { reason } = world(entry('acme', record('acme', 'only=region:shanghai,region:guangzhou')));
    expect(reason('acme')).toBe('RESIDENCY_REGION_NOT_ALLOWED');
    expect(reason('acme', 'only=region:beijing')).toBe('RESIDENCY_INFEASIBLE');
    expect(reason('public', 'never=region:beijing')).toBe('RESIDENCY_REGION_NOT_ALLOWED');
    expect(reason('public', 'never=region:atlantis')).toBe('REGION_UNKNOWN');
  });
});
