import { expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import { planMerge } from './plan-merge.ts';
import { View } from './view.ts';

const actor = actorId('shanghai', 1n);
const seen = VersionVector.of([[actor, 3]]);
const deletion = {
  ...{ dot: { actor, counter: 2 }, hlc: { wallMs: 1, logical: 0 }, value: Buffer.from(''), deleted: true },
};
const entry = { key: 'config/k', versions: [deletion], context: VersionVector.of([[actor, 2]]) };
const rules = { admits: () => true, receives: () => true, isRepair: false, seenOf: () => VersionVector.EMPTY };

test('what a round under way has shown to be over goes into the log once: a clock may soon rest on it', () => {
  const view = new View();
  const [over] = planMerge(view, [entry], { ...rules, seenOf: () => seen }).entries;
  expect(over?.versions).toEqual([]);
  expect(over?.context.dominates(seen)).toBe(true);
  if (over !== undefined) view.put(over, 1);
  expect(planMerge(view, [entry], { ...rules, seenOf: () => seen }).entries).toEqual([]);
  expect(planMerge(view, [entry], rules).entries).toEqual([]);
});

test('what the clock covers is no news', () => {
  const view = new View();
  view.clock = seen;
  expect(planMerge(view, [entry], { ...rules, seenOf: () => seen }).entries).toEqual([]);
});
