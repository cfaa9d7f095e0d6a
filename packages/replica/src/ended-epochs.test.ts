import { expect, test } from '@jest/globals';
import { type ActorId, actorId, type Dot, VersionVector } from '@meridian/causality';
import { EndedEpochs, encodeEndedEpochs } from './ended-epochs.ts';
import { epochsKey } from './state-key.ts';

const [first, second, third] = [actorId('beijing', 1n), actorId('beijing', 2n), actorId('beijing', 3n)];
const hlc = { wallMs: 1, logical: 0 };
const key = epochsKey('beijing');
const all = VersionVector.of([
  [first, 4],
  [second, 2],
  [third, 1],
]);

/** The third life's first event names the two before it: the second had listed the first with its own first event. */
function known(): EndedEpochs {
  const lives = [
    { actor: first, counter: 4, by: { actor: second, counter: 1 } },
    { actor: second, counter: 2, by: undefined },
  ];
  const version = {
    dot: { actor: third, counter: 1 },
    hlc,
    value: encodeEndedEpochs('beijing', lives),
    deleted: false,
  };
  const ended = new EndedEpochs();
  ended.update({ key, versions: [version], context: VersionVector.EMPTY });
  return ended;
}

test('what a vector leaves out by lists can be read by who has the last list', () => {
  const ended = known();
  const everybody = () => true;
  expect(ended.outwardTo(all, everybody).toString()).toBe(VersionVector.of([[third, 1]]).toString());
  expect(ended.listsFor(all, everybody).toString()).toBe(VersionVector.of([[third, 1]]).toString());
  const nobodyHasTheLast = ({ actor }: Dot) => actor !== third;
  expect(ended.outwardTo(all, nobodyHasTheLast).counterOf(first)).toBe(0);
  expect(ended.listsFor(all, nobodyHasTheLast).toString()).toBe(VersionVector.of([[second, 1]]).toString());
  expect(ended.listsFor(all, () => false).size).toBe(0);
});

test('an event after the end of its life is over; one of a life that no list names is not', () => {
  const ended = known();
  const isOver = (actor: ActorId, counter: number) => ended.isOver({ actor, counter });
  expect([isOver(first, 4), isOver(first, 5), isOver(third, 9)]).toEqual([false, true, false]);
});

test('of a life that two processes listed with different ends a list keeps both', () => {
  const twin = actorId('beijing', 9n);
  const ended = new EndedEpochs();
  const listing = (actor: ActorId, counter: number) => ({
    dot: { actor, counter: 1 },
    hlc,
    value: encodeEndedEpochs('beijing', [{ actor: first, counter, by: undefined }]),
    deleted: false,
  });
  ended.update({ key, versions: [listing(second, 4), listing(twin, 3)], context: VersionVector.EMPTY });
  const merged = {
    dot: { actor: second, counter: 2 },
    hlc,
    value: encodeEndedEpochs('beijing', ended.listed('beijing')),
    deleted: false,
  };
  ended.update({ key, versions: [merged], context: VersionVector.EMPTY });
  const seen = (actor: ActorId) => ended.inward(VersionVector.of([[actor, 1]])).counterOf(first);
  expect([seen(second), seen(twin)]).toEqual([4, 3]);
  const both = VersionVector.of([
    [first, 4],
    [second, 2],
    [twin, 1],
  ]);
  expect(ended.outwardTo(both, () => true).counterOf(first)).toBe(0);
  expect(ended.endedOf('beijing').get(first)).toBe(4);
});
