import { expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import type { Entry } from '@meridian/replica';
import { ConflictWatch } from './conflict-watch.ts';

/** `b1=x` is the version of beijing's first event with the content x. */
function entry(key: string, ...versions: string[]): Entry {
  return {
    key,
    context: VersionVector.EMPTY,
    versions: versions.map((text) => {
      const [dot = '', value = ''] = text.split('=');
      const actor = actorId(dot.startsWith('b') ? 'beijing' : 'shanghai', 1n);
      const hlc = { wallMs: 1, logical: 0 };
      return { dot: { actor, counter: Number(dot.slice(1)) }, hlc, value: Buffer.from(value), deleted: false };
    }),
  };
}

const verbs = (watch: ConflictWatch, ...entries: Entry[]) => entries.map((one) => watch.update(one)?.verb);

test('a conflict is found, changes with its versions, and is resolved; nothing is told twice', () => {
  const one = entry('k', 'b1=x');
  const two = entry('k', 'b1=x', 's1=y');
  const three = entry('k', 'b1=x', 's1=y', 's2=z');
  const end = entry('k', 'b2=x');
  expect(verbs(new ConflictWatch(), one, two, two, three, three, two, end, end)).toEqual([
    ...[undefined, 'found', undefined, 'changed', undefined, 'changed', 'resolved', undefined],
  ]);
});

test('equal content of two regions is one value, and ends a conflict', () => {
  const same = entry('k', 'b1=x', 's1=x');
  expect(verbs(new ConflictWatch(), same, entry('k', 'b1=x', 's2=y'), same)).toEqual([undefined, 'found', 'resolved']);
});

test('what is known from before is not found again; its change and its end are told', () => {
  const two = entry('k', 'b1=x', 's1=y');
  const dots = new ConflictWatch().update(two)?.dots ?? '';
  expect(verbs(new ConflictWatch([['k', dots]]), two, entry('k', 'b2=x', 's1=y'))).toEqual([undefined, 'changed']);
  expect(verbs(new ConflictWatch([['k', dots]]), entry('k', 'b2=x'))).toEqual(['resolved']);
});

test('beyond its bound a conflict is still found, and memory does not grow', () => {
  const watch = new ConflictWatch();
  for (let i = 0; i < 4_096; i++) watch.update(entry(`k${i}`, 'b1=x', 's1=y'));
  const more = entry('more', 'b1=x', 's1=y');
  expect(verbs(watch, more, more, entry('more', 'b1=x'))).toEqual(['found', 'found', undefined]);
  expect(verbs(watch, entry('k0', 'b2=x'), more, more)).toEqual(['resolved', 'found', undefined]);
});
