import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { Failure } from '@meridian/failure';
import fc from 'fast-check';
import type { Topology } from './topology.ts';
import { peersOf, regionOf, roundTripMs } from './topology.ts';
import { formatTopology, parseTopology } from './topology-file.ts';

const committed = readFileSync(new URL('../../../regions.yaml', import.meta.url), 'utf8');

function problemOf(text: string): string {
  try {
    parseTopology(text);
  } catch (error) {
    expect(error).toBeInstanceOf(Failure);
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'TOPOLOGY_INVALID', retryable: false });
    return (error as Failure).message;
  }
  throw new Error('accepted');
}

describe('regions.yaml as committed', () => {
  test('has the three regions with the round trips of the article', () => {
    const topology = parseTopology(committed);
    expect(topology.regions.map((region) => region.name)).toEqual(['beijing', 'shanghai', 'guangzhou']);
    expect(roundTripMs(topology, 'beijing', 'shanghai')).toBe(50);
    expect(roundTripMs(topology, 'guangzhou', 'beijing')).toBe(100);
    expect(roundTripMs(topology, 'shanghai', 'guangzhou')).toBe(150);
    expect(roundTripMs(topology, 'shanghai', 'shanghai')).toBe(0);
  });

  test('a region finds its peers, and an unknown one is told the known ones', () => {
    const topology = parseTopology(committed);
    expect(peersOf(topology, 'shanghai').map((region) => region.name)).toEqual(['beijing', 'guangzhou']);
    expect(() => regionOf(topology, 'tokyo')).toThrow(/"tokyo".*beijing, shanghai, guangzhou/);
    expect(() => roundTripMs(topology, 'tokyo', 'tokyo')).toThrow(/tokyo/);
  });
});

describe('parseTopology refuses, naming the field', () => {
  test.each([
    ['a wrong value', committed.replace('capacity: 1', 'capacity: none'), 'regions[0].capacity:'],
    ['an unknown field', committed.replace('zone: cn-east', 'zone: cn-east\n    continent: asia'), 'regions[1]:'],
    [
      'an address without port',
      committed.replace('shanghai.meridian.internal:7443', 'shanghai'),
      'regions[1].grpcAddress:',
    ],
    ['a name twice', committed.replace('name: shanghai', 'name: beijing'), 'regions[1].name:'],
    [
      'an unknown link end',
      committed.replace('[beijing, shanghai]', '[beijing, tokyo]'),
      'links[0].between: there is no region tokyo',
    ],
    ['a link to itself', committed.replace('[beijing, shanghai]', '[beijing, beijing]'), 'links[0].between:'],
    ['a pair twice', committed.replace('[beijing, guangzhou]', '[shanghai, beijing]'), 'links[1].between:'],
    [
      'a pair without link',
      committed.replace(/ {2}- between: \[shanghai, guangzhou\][\s\S]*$/, ''),
      'links: shanghai and guangzhou have no link',
    ],
    ['no YAML', 'regions: [', 'not YAML'],
    ['an alias bomb', `${committed}\nlinks2: &a [x]\nmore: [*a, *a]\n`, 'not YAML'],
  ])('%s', (_, text, expected) => {
    expect(problemOf(text)).toContain(expected);
  });

  test('all problems are listed at once', () => {
    const text = committed.replace('capacity: 1', 'capacity: 0').replace('roundTripMs: 150', 'roundTripMs: -1');
    expect(problemOf(text)).toMatch(/regions\[0\]\.capacity.*links\[2\]\.roundTripMs/);
  });
});

test('what is formatted reads back the same', () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
  const topologies = fc.uniqueArray(name, { minLength: 1, maxLength: 6 }).chain((names) =>
    fc.array(fc.integer({ min: 0, max: 10_000 }), { minLength: 15, maxLength: 15 }).map((delays): Topology => {
      const links = names.flatMap((a, i) => names.slice(i + 1).map((b) => [a, b] as const));
      return {
        regions: names.map((region, i) => ({
          name: region,
          latitude: i,
          longitude: -i,
          zone: `z${i}`,
          capacity: i + 0.5,
          leafAddress: `127.0.0.1:${i + 1}`,
          grpcAddress: `[::1]:${i + 1}`,
        })),
        links: links.map((between, i) => ({ between, roundTripMs: delays[i] ?? 0, bandwidthMbps: 1 })),
      };
    }),
  );
  fc.assert(fc.property(topologies, (topology) => expect(parseTopology(formatTopology(topology))).toEqual(topology)));
});
