import { expect, test } from '@jest/globals';
import { type ActorId, actorId, type Dot, VersionVector } from '@meridian/causality';
import { EndedEpochs, type EndedLife, encodeEndedEpochs } from './ended-epochs.ts';
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
  const lives = new Map<ActorId, EndedLife>([
    [first, { counter: 4, by: { actor: second, counter: 1 } }],
    [second, { counter: 2, by: undefined }],
  ]);
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
