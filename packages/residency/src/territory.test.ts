import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { requireAllowed, requireFeasible } from './refusals.ts';
import type { ResidencyRule } from './rule.ts';
import { parseRule } from './rule-text.ts';
import { closedTerritory, type NamedRule, territoryOf } from './territory.ts';

const DOORS = [
  { name: 'beijing', zone: 'cn-north', grpcAddress: 'b:1' },
  { name: 'tianjin', zone: 'cn-north', grpcAddress: 't:1' },
  { name: 'guangzhou', zone: 'cn-south', grpcAddress: 'g:1' },
];
const rules = (tenant: string, call = ''): NamedRule[] => [
  { of: 'tenant acme', rule: parseRule(tenant) },
  { of: 'the call', rule: parseRule(call) },
];
const territory = (tenant: string, call?: string) => territoryOf(rules(tenant, call), DOORS);

describe('a territory', () => {
  test('is what every rule allows, with the reason for the rest', () => {
    expect(territory('')).toEqual({
      isRestricted: false,
      allowed: new Set(['beijing', 'tianjin', 'guangzhou']),
      preferred: new Set(),
      reasons: new Map(),
    });
    const narrowed = territory('only=zone:cn-north', 'never=region:tianjin');
    expect([...narrowed.allowed]).toEqual(['beijing']);
    expect([...narrowed.reasons]).toEqual([
      ['tianjin', 'the call: never=region:tianjin'],
      ['guangzhou', 'tenant acme: only=zone:cn-north'],
    ]);
  });

  test('never wins over only, and a call cannot have more than its tenant', () => {
    expect(territory('only=zone:cn-north;never=region:beijing').allowed).toEqual(new Set(['tianjin']));
    expect(territory('never=zone:cn-south', 'only=region:guangzhou').allowed.size).toBe(0);
  });

  test('the call’s preference is before the tenant’s, within what is allowed', () => {
    expect(territory('prefer=region:beijing').preferred).toEqual(new Set(['beijing']));
    expect(territory('prefer=region:beijing', 'prefer=zone:cn-south').preferred).toEqual(new Set(['guangzhou']));
    const left = territory('prefer=region:beijing;never=zone:cn-south', 'prefer=zone:cn-south');
    expect(left.preferred).toEqual(new Set(['beijing']));
    expect(territory('prefer=region:beijing').isRestricted).toBe(false);
  });

  test('of rules that leave nothing, or of a tenant that nobody can read, has no region', () => {
    expect(() => requireFeasible(territory('only=region:beijing', 'only=region:tianjin'))).toThrow(
      expect.objectContaining({ code: 'FAILED_PRECONDITION', reason: 'RESIDENCY_INFEASIBLE' }),
    );
    expect(() => requireFeasible(closedTerritory('tenant acme is not known', DOORS))).toThrow('not known');
  });
});

test('a region outside is refused, with those to ask, preferred ones first', () => {
  requireAllowed(territory('never=region:guangzhou'), 'beijing', DOORS);
  expect(() => requireAllowed(territory('never=region:guangzhou;prefer=region:tianjin'), 'guangzhou', DOORS)).toThrow(
    expect.objectContaining({
      code: 'FAILED_PRECONDITION',
      reason: 'RESIDENCY_REGION_NOT_ALLOWED',
      retryable: false,
      details: { region: 'guangzhou', regions: 'tianjin,beijing', addresses: 'tianjin=t:1,beijing=b:1' },
      message: expect.stringContaining('ask tianjin, beijing'),
    }),
  );
});

test('further rules only narrow; order changes nothing but preference; preferred is allowed; all others have a reason', () => {
  const region = fc.record({
    name: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
    zone: fc.constantFrom('x', 'y', 'z'),
  });
  const regions = fc.uniqueArray(region, { minLength: 1, maxLength: 6, selector: ({ name }) => name });
  const places = fc
    .record({
      regions: fc.subarray(['a', 'b', 'c', 'd', 'e', 'f', 'gone']),
      zones: fc.subarray(['x', 'y', 'z', 'gone']),
    })
    .filter((one) => one.regions.length + one.zones.length > 0);
  const rule: fc.Arbitrary<ResidencyRule> = fc.record(
    { only: places, never: places, prefer: places },
    { requiredKeys: [] },
  );
  const named = fc.array(
    rule.map((one) => ({ of: 'somebody', rule: one })),
    { maxLength: 4 },
  );
  fc.assert(
    fc.property(regions, named, rule, (topology, before, more) => {
      const few = territoryOf(before, topology);
      const all = territoryOf([...before, { of: 'another', rule: more }], topology);
      const reversed = territoryOf([...before, { of: 'another', rule: more }].toReversed(), topology);
      expect(all.allowed.isSubsetOf(few.allowed)).toBe(true);
      expect(all.preferred.isSubsetOf(all.allowed)).toBe(true);
      expect(reversed.allowed).toEqual(all.allowed);
      expect(new Set([...all.allowed, ...all.reasons.keys()])).toEqual(new Set(topology.map(({ name }) => name)));
      expect(all.allowed.size + all.reasons.size).toBe(topology.length);
      // By the definition, written anew.
      for (const { name, zone } of topology) {
        const hit = (part: 'only' | 'never', one: ResidencyRule) =>
          one[part]?.regions.includes(name) === true || one[part]?.zones.includes(zone) === true;
        const parts = [...before.map((one) => one.rule), more];
        const isAllowed = parts.every((one) => (one.only === undefined || hit('only', one)) && !hit('never', one));
        expect(all.allowed.has(name)).toBe(isAllowed);
      }
    }),
    { numRuns: 300 },
  );
});
