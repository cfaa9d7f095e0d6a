import { expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import type { Entry } from '@meridian/replica';
import { createLogger, VirtualClock } from '@meridian/runtime';
import type { Update } from '../replicator/watch.ts';
import { EntryFollower } from './entry-follower.ts';

const actor = actorId('beijing', 1n);
const vector = VersionVector.of([[actor, 9]]);
const entry = (key: string, ...counters: number[]): Entry => ({
  ...{ key, context: vector },
  versions: counters.map((counter) => ({
    ...{ dot: { actor, counter }, hlc: { wallMs: 1, logical: 0 }, value: Buffer.from('v'), deleted: false },
  })),
});
const update = (entries: readonly Entry[], caughtUp = true): Update => ({ entries, vector, caughtUp, isWhole: false });

test('a reader that remembers keys is told of those that are gone, also while nothing was followed', async () => {
  const clock = new VirtualClock();
  const told: string[] = [];
  const remembered = new Set(['of before']);
  /** Each is one watch. */
  const watches = [
    [update([entry('a', 1), entry('b', 2)], false), update([entry('c', 3)]), update([entry('b')])],
    [update([entry('a', 4)])],
  ];
  const follower = new EntryFollower({
    replicator: {
      async *watch(_, signal) {
        const updates = watches.shift();
        yield* updates ?? [];
        if (updates === undefined) await new Promise<void>((stop) => signal.addEventListener('abort', () => stop()));
      },
    },
    ...{ clock, logger: createLogger({ name: 'test', region: 'beijing', level: 'silent' }) },
    onEntry: ({ key, versions }) => {
      told.push(`${key}${versions.length === 0 ? ' is gone' : ''}`);
      if (versions.length === 0) remembered.delete(key);
      else remembered.add(key);
    },
    remembered: () => remembered,
  });
  follower.start();
  await clock.advanceAsync(500);
  expect(told).toEqual(['a', 'b', 'c', 'of before is gone', 'b is gone']);
  await clock.advanceAsync(1_000);
  expect(told.slice(5)).toEqual(['a', 'c is gone']);
  expect([...remembered]).toEqual(['a']);
  await follower.stop();
});
