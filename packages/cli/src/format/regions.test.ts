import { create } from '@bufbuild/protobuf';
import { expect, test } from '@jest/globals';
import { RegionHealth, RegionViewSchema } from '@meridian/contracts/region';
import { formatRegions } from './regions.ts';

test('regions with names for the models that are known', () => {
  const digest = `sha256:${'cd'.repeat(32)}`;
  const regions = [
    create(RegionViewSchema, {
      name: 'beijing',
      health: RegionHealth.UP,
      capacity: 1,
      workers: 1,
      modelDigests: ['d1', digest],
    }),
    create(RegionViewSchema, { name: 'shanghai', health: RegionHealth.DOWN, roundTripMs: 50.2 }),
  ];
  expect(
    formatRegions('beijing', regions, new Map([['d1', 'centernet-320']]))
      .split('\n')
      .slice(3),
  ).toEqual([
    'beijing   up               –            0         1   0 ms        1  cdcdcdcdcdcd centernet-320',
    'shanghai  down       50.2 ms            –         0      –        –  –',
  ]);
});
