import { expect, test } from '@jest/globals';
import { type ActorId, actorId, VersionVector } from '@meridian/causality';
import { encodeMember, encodeSeal, memberKey, sealKey } from '@meridian/replica';
import { Membership } from './membership.ts';

const gone = actorId('guangzhou', 1n);
/** Named by a context only. */
const silent = actorId('guangzhou', 3n);
const version = (actor: ActorId, value: Uint8Array, wallMs = 1) => ({
  ...{ dot: { actor, counter: wallMs }, hlc: { wallMs, logical: 0 }, value, deleted: false },
});
const seal = (counter: number) => encodeSeal({ generation: 0, seen: [[gone, counter]], unseen: [silent] });
const entry = (key: string, ...versions: ReturnType<typeof version>[]) => ({
  ...{ key, versions, context: VersionVector.EMPTY },
});

test('two processes of a member that sealed beside each other have sealed what either had seen', () => {
  const membership = new Membership('beijing', ['guangzhou', 'shanghai']);
  const [one, other] = [actorId('shanghai', 1n), actorId('shanghai', 2n)];
  membership.update(entry(memberKey('guangzhou'), version(one, encodeMember({ isRemoved: true, generation: 0 }))));
  membership.update(entry(sealKey('guangzhou', 'beijing'), version(actorId('beijing', 1n), seal(2))));
  expect(membership.stateOf('guangzhou')).toBe('removing');
  expect(membership.isVoid({ actor: gone, counter: 9 })).toBe(false);
  membership.update(entry(sealKey('guangzhou', 'shanghai'), version(one, seal(4)), version(other, seal(3), 2)));
  expect(membership.stateOf('guangzhou')).toBe('removed');
  expect([4, 5].map((counter) => membership.admits({ actor: gone, counter }))).toEqual([true, false]);
  expect([4, 5].map((counter) => membership.isVoid({ actor: gone, counter }))).toEqual([false, true]);
  const isAdded = version(one, encodeMember({ isRemoved: false, generation: 1 }), 2);
  membership.update(entry(memberKey('guangzhou'), isAdded));
  expect([4, 5].map((counter) => membership.isVoid({ actor: gone, counter }))).toEqual([false, true]);
  expect(membership.isVoid({ actor: actorId('guangzhou', 2n), counter: 1 })).toBe(false);
  expect(membership.isVoid({ actor: silent, counter: 1 })).toBe(true);
  expect([gone, silent, one].map((actor) => membership.wasSealed(actor))).toEqual([true, true, false]);
});
