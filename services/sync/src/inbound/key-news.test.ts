import { expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import type { Entry } from '@meridian/replica';
import { KeyNews } from './key-news.ts';

const actor = actorId('beijing', 1n);
const entry = (key: string, ...counters: number[]): Entry => ({
  key,
  // A context grows with everything that happens anywhere: it says nothing about a change of this key.
  context: VersionVector.of([[actor, 99]]),
  versions: counters.map((counter) => ({
    ...{ dot: { actor, counter }, hlc: { wallMs: 1, logical: 0 }, value: Buffer.from('v'), deleted: false },
  })),
});

test('a reader is told what it has not seen, and each set of versions once', () => {
  const news = new KeyNews(VersionVector.of([[actor, 5]]));
  expect(news.take(entry('old', 3, 5))).toBe(false);
  expect(news.take(entry('new', 3, 6))).toBe(true);
  expect(news.take(entry('new', 3, 6))).toBe(false);
  expect(news.take(entry('old', 7))).toBe(true);
  expect(news.take(entry('new', 6))).toBe(true);
});

test('that a key is gone is told to who knows it, once; not to who knows of its deletion', () => {
  const news = new KeyNews(VersionVector.EMPTY);
  const { versions, ...rest } = entry('deleted', 2);
  const deletion = { ...rest, versions: versions.map((version) => ({ ...version, deleted: true })) };
  expect([news.take(entry('deleted', 1)), news.take(deletion), news.take(entry('deleted'))]).toEqual([
    true,
    true,
    false,
  ]);
  expect([news.take(entry('lost', 1)), news.take(entry('lost')), news.take(entry('lost'))]).toEqual([
    true,
    true,
    false,
  ]);
  expect(news.take(entry('never heard of'))).toBe(false);
  expect(news.take(entry('deleted', 3))).toBe(true);
});
