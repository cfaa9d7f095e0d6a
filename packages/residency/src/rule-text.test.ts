import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { checkRule, PLACES_MAX, type Places, type ResidencyRule } from './rule.ts';
import { formatRule, parseRule } from './rule-text.ts';

const REGIONS = [
  { name: 'beijing', zone: 'cn-north' },
  { name: 'guangzhou', zone: 'cn-south' },
];
const invalid = (message: string) =>
  expect.objectContaining({
    code: 'INVALID_ARGUMENT',
    reason: 'RESIDENCY_RULE_INVALID',
    message: expect.stringContaining(message),
  });

describe('the text of a rule', () => {
  test('names parts and places, in any order, with spaces around separators', () => {
    expect(parseRule('')).toEqual({});
    expect(parseRule(' never = region:guangzhou ; only=zone:cn-north, region:wuhan')).toEqual({
      never: { regions: ['guangzhou'], zones: [] },
      only: { regions: ['wuhan'], zones: ['cn-north'] },
    });
  });

  test.each([
    ['only', 'expected only='],
    ['only=', 'residency.only'],
    ['only=beijing', 'region:<name>'],
    ['only=region:', 'region:<name>'],
    ['only=region:Beijing', 'region:<name>'],
    ['only=region:beijing;', 'expected only='],
    ['only=region:beijing,', 'region:<name>'],
    ['Only=region:beijing', 'expected only='],
    ['not=region:beijing', 'expected only='],
    ['only=region:a;only=region:b', 'only is there twice'],
    [
      `never=${Array(PLACES_MAX + 1)
        .fill('zone:z')
        .join()}`,
      'more than 64',
    ],
    ['x'.repeat(16 * 1024 + 1), 'characters'],
  ])('%s is refused', (text, message) => {
    expect(() => parseRule(text)).toThrow(invalid(message));
  });

  test('is read back as it was written, and equal rules have one text', () => {
    const name = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$/);
    const places = fc
      .record({ regions: fc.uniqueArray(name, { maxLength: 4 }), zones: fc.uniqueArray(name, { maxLength: 4 }) })
      .filter(({ regions, zones }) => regions.length + zones.length > 0);
    const rules = fc.record({ only: places, never: places, prefer: places }, { requiredKeys: [] });
    const sorted = (part: Places) => ({ regions: part.regions.toSorted(), zones: part.zones.toSorted() });
    fc.assert(
      fc.property(rules, (rule: ResidencyRule) => {
        const read = parseRule(formatRule(rule));
        expect(Object.keys(read).toSorted()).toEqual(Object.keys(rule).toSorted());
        for (const part of ['only', 'never', 'prefer'] as const)
          if (rule[part] !== undefined) expect(sorted(read[part] as Places)).toEqual(sorted(rule[part]));
        expect(formatRule(read)).toBe(formatRule(rule));
      }),
    );
  });

  test('whatever it is, it is a rule or a named error', () => {
    const piece = fc.constantFrom(
      'only',
      'never',
      '=',
      ';',
      ',',
      'region:',
      'zone:',
      'a',
      ' ',
      'prefer',
      '\u0000',
      'é',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        try {
          parseRule(pieces.join(''));
        } catch (error) {
          expect(error).toMatchObject({ reason: 'RESIDENCY_RULE_INVALID' });
        }
      }),
    );
  });
});

describe('a rule is checked', () => {
  test('against the topology: what is unknown is named, with what is known', () => {
    checkRule(parseRule('only=zone:cn-north;never=region:guangzhou'), REGIONS);
    expect(() => checkRule(parseRule('never=region:guangzou'), REGIONS)).toThrow(
      expect.objectContaining({
        code: 'NOT_FOUND',
        reason: 'REGION_UNKNOWN',
        message: 'residency.never.regions: there is no region "guangzou"; known are beijing, guangzhou',
      }),
    );
    expect(() => checkRule(parseRule('prefer=zone:eu'), REGIONS, 'tenant')).toThrow('tenant.prefer.zones');
  });

  test('for parts that name nothing or too much', () => {
    expect(() => checkRule({ only: { regions: [], zones: [] } }, REGIONS)).toThrow(invalid('no region and no zone'));
    const many = Array.from({ length: PLACES_MAX + 1 }, () => 'beijing');
    expect(() => checkRule({ only: { regions: many, zones: [] } }, REGIONS)).toThrow(invalid('more than 64'));
  });
});
