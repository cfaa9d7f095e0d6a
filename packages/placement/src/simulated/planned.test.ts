import { readFile } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import { compare } from './compare.ts';
import { planned, sharesOf } from './planned.ts';
import { POLICIES } from './policies.ts';
import { parseScenario } from './scenario-file.ts';

/** Goal: the plan says beforehand what prices will do. Method: both for three cities, most of whose users are in the smallest. */
const file = new URL('../../../../examples/three-cities.yaml', import.meta.url);
const meridian = POLICIES.filter(({ name }) => name === 'meridian');

test.each([
  ['short tasks of many sizes', 'meanServiceMs: 30\nserviceCv: 0.8'],
  ['long ones of one size', 'meanServiceMs: 100\nserviceCv: 0'],
])('%s: shares and mean of the plan are those of the simulation', async (_, service) => {
  const text = (await readFile(file, 'utf8')).replace(/^meanServiceMs[\s\S]*$/m, service);
  const world = parseScenario(text);
  const plan = planned(world, 0);
  const [result] = compare(world, meridian, 7).results;
  expect(plan.shed).toEqual([]);
  for (const [j, share] of sharesOf(plan, world).entries())
    expect(Math.abs(share - (result?.shares[j] ?? 0))).toBeLessThan(0.05);
  const meanRatio = (result?.meanMs ?? 0) / plan.latencyMs;
  expect(meanRatio).toBeGreaterThan(0.9);
  expect(meanRatio).toBeLessThan(1.1);
});
