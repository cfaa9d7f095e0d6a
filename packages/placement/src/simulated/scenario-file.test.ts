import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import { compare } from './compare.ts';
import { POLICIES } from './policies.ts';
import { parseScenario } from './scenario-file.ts';

const region = (name: string, more: object = {}) => ({
  name,
  latitude: 0,
  longitude: 0,
  workers: 2,
  weight: 1,
  ...more,
});
const file = (more: object = {}) =>
  stringify({ name: 'test', regions: [region('a'), region('b')], utilization: 0.5, ...more });

test('the three cities of the article run with every policy, and ours is the best of those that could be had', () => {
  const path = join(import.meta.dirname, '..', '..', '..', '..', 'examples', 'three-cities.yaml');
  const { results, regions, bound } = compare(parseScenario(readFileSync(path, 'utf8')), POLICIES, 1);
  expect(regions).toEqual(['beijing', 'shanghai', 'guangzhou']);
  const of = (name: string) => results.find(({ policy }) => policy === name)?.meanMs ?? Number.NaN;
  expect(of('meridian')).toBeGreaterThan(bound.meanMs);
  for (const name of [
    'nearest',
    'round-robin',
    'least-outstanding',
    'power-of-two',
    'zone-aware',
    'prequal',
    'split-10s',
  ])
    expect(of('meridian')).toBeLessThanOrEqual(1.01 * of(name));
});

test.each([[undefined], [[{ between: ['a', 'b'], roundTripMs: 50 }]]])(
  'a task that goes twice to another region takes twice as long, and at home as long as ever (%j)',
  (links) => {
    const once = parseScenario(file({ links })).roundTripMs;
    const twice = parseScenario(file({ links, roundTripsPerTask: 2 })).roundTripMs;
    expect([twice(0, 1), twice(1, 0)]).toEqual([2 * once(0, 1), 2 * once(1, 0)]);
    expect(twice(1, 1)).toBe(once(1, 1));
  },
);

test('two hundred regions run', () => {
  const regions = Array.from({ length: 200 }, (_, i) => region(`r${i}`, { longitude: i - 100, workers: 1 }));
  const scenario = parseScenario(file({ regions, durationS: 0.5 }));
  const { results, tasks } = compare(scenario, POLICIES.slice(0, 3), 1);
  expect(tasks).toBeGreaterThan(500);
  for (const { shares } of results) expect(shares.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 9);
});

describe('a scenario file that is wrong is refused by name', () => {
  test.each([
    ['an unknown region of an event', { events: [{ region: 'mars', from: 0, until: 1 }] }, /no region mars/],
    [
      'an unknown end of a link',
      { links: [{ between: ['a', 'mars'], roundTripMs: 1 }] },
      /no region mars.*a and b have no link/,
    ],
    ['negative workers', { regions: [region('a', { workers: -1 })] }, /regions\.0\.workers/],
    ['NaN', { utilization: Number.NaN }, /utilization/],
    ['an infinite weight', { regions: [region('a', { weight: Number.POSITIVE_INFINITY })] }, /regions\.0\.weight/],
    ['a field that does not exist', { utilisation: 1 }, /utilisation/],
    ['two regions of one name', { regions: [region('a'), region('a')] }, /two a/],
    ['an event that ends first', { events: [{ region: 'a', from: 0.5, until: 0.4 }] }, /ends before/],
    ['201 regions', { regions: Array.from({ length: 201 }, (_, i) => region(`r${i}`)) }, /regions/],
    ['too many tasks', { meanServiceMs: 0.1, regions: [region('a', { workers: 10_000 })] }, /tasks are more/],
  ])('%s', (_, more, message) => {
    expect(() => parseScenario(file(more))).toThrow(expect.objectContaining({ reason: 'SCENARIO_INVALID' }));
    expect(() => parseScenario(file(more))).toThrow(message);
  });

  test.each([
    ['more demand than capacity', { utilization: 1.01 }],
    ['no weight at all', { regions: [region('a', { workers: 0 })] }],
  ])('%s is infeasible', (_, more) => {
    expect(() => parseScenario(file(more))).toThrow(expect.objectContaining({ reason: 'SCENARIO_INFEASIBLE' }));
  });

  test('not YAML', () => {
    expect(() => parseScenario('regions: [')).toThrow(/not YAML/);
  });
});
