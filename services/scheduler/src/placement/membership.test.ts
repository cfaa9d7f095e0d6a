import { expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import { type Entry, encodeMember, memberKey } from '@meridian/replica';
import { Membership } from './membership.ts';

function record(value: Uint8Array, counter: number): Entry {
  const actor = actorId('beijing', 7n);
  return {
    key: memberKey('guangzhou'),
    versions: [{ dot: { actor, counter }, hlc: { wallMs: counter, logical: 0 }, value, deleted: false }],
    context: VersionVector.of([[actor, counter]]),
  };
}

test('a region is removed by its record, and is back by the next one', () => {
  const entries = new Map<string, Entry>();
  const membership = new Membership((key) => entries.get(key));
  const removed = () => ['guangzhou', 'beijing'].filter((region) => membership.isRemoved(region));
  const write = (value: Uint8Array, counter: number) => entries.set(memberKey('guangzhou'), record(value, counter));
  expect(removed()).toEqual([]);
  write(encodeMember({ isRemoved: true, generation: 1 }), 1);
  expect(removed()).toEqual(['guangzhou']);
  write(encodeMember({ isRemoved: false, generation: 2 }), 2);
  expect(removed()).toEqual([]);
  write(Uint8Array.of(0xff), 3);
  expect(removed()).toEqual([]);
});
