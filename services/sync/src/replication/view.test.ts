import { expect, test } from '@jest/globals';
import { actorId, type Dot, VersionVector } from '@meridian/causality';
import { View } from './view.ts';

const [own, gone] = [actorId('beijing', 1n), actorId('shanghai', 1n)];
const hlc = { wallMs: 1, logical: 0 };
const seen = (counter: number, ofGone = 0) =>
  VersionVector.of([[own, counter], ...(ofGone === 0 ? [] : [[gone, ofGone] as const])]);
const version = (counter: number, deleted = false) => ({
  ...{ dot: { actor: own, counter }, hlc, value: Buffer.from('v'), deleted },
});

test('there is no digest while a key has one version more, or one less, than the clock says', () => {
  const view = new View();
  view.clock = seen(2);
  view.put({ key: 'a', versions: [version(1)], context: seen(2) }, 1);
  expect(view.digest).not.toBe('');
  view.put({ key: 'a', versions: [], context: seen(3) }, 2);
  expect(view.digest).toBe('');
  view.clock = seen(3);
  expect(view.digest).not.toBe('');
});

test('what lies behind the seal of a removed region keeps no deletion from being collected', () => {
  let isRemoved = false;
  const view = new View({ isVoid: ({ actor }: Dot) => isRemoved && actor === gone, isOver: () => false });
  view.put({ key: 'a', versions: [version(1, true)], context: seen(1, 7) }, 1);
  view.clock = seen(1);
  expect([...view.collectable()]).toEqual([]);
  isRemoved = true;
  expect([...view.collectable()].map(({ key }) => key)).toEqual(['a']);
});

test('nor does what went with a store of which its owner counts the life as ended; a version that is there does', () => {
  const view = new View({ isVoid: () => false, isOver: ({ actor, counter }: Dot) => actor === gone && counter > 6 });
  view.clock = seen(2);
  view.put({ key: 'a', versions: [version(1, true)], context: seen(2, 7) }, 1);
  view.put({ key: 'b', versions: [version(2, true)], context: seen(2, 6) }, 2);
  const ahead = { ...version(7), dot: { actor: gone, counter: 7 } };
  view.put({ key: 'c', versions: [version(1, true), ahead], context: seen(2, 7) }, 3);
  expect([...view.collectable()].map(({ key }) => key)).toEqual(['a']);
  expect(view.digest).toBe('');
});
