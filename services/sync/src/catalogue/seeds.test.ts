import { expect, test } from '@jest/globals';
import { seedsOf } from './seeds.ts';

const model = (name: string, digest: string) => ({ key: `model/${name}`, name, digest, value: Buffer.from(digest) });
const seeds = (digest: string, offered: readonly [string, string][], stateHasModels: boolean) =>
  seedsOf([model('a', digest)], new Map(offered), stateHasModels).map(({ change }) => change.when);

test('what was never offered is added, what changed replaces, what was offered unchanged is left as operators have it', () => {
  expect(seeds('1', [], true)).toEqual(['absent']);
  expect(seeds('2', [['a', '1']], true)).toEqual(['differs']);
  expect(seeds('1', [['a', '1']], true)).toEqual([]);
});

test('a state that has lost everything is offered everything', () => {
  for (const offered of [[], [['a', '1']] as [string, string][]])
    expect(seeds('1', offered, false)).toEqual(['absent']);
});
