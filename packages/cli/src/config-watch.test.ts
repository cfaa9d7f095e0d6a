import { create } from '@bufbuild/protobuf';
import { expect, test } from '@jest/globals';
import { type WatchKeysResponse, WatchKeysResponseSchema } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { seededRandom, systemClock } from '@meridian/runtime';
import { watchKeys } from './config-watch.ts';

const update = (versionVector: string) => create(WatchKeysResponseSchema, { versionVector, caughtUp: true });

test('a watch goes on from where it was, and ends with what trying again does not help against', async () => {
  const asked: string[] = [];
  const streams: (readonly [updates: readonly WatchKeysResponse[], end: Failure | undefined])[] = [
    [[update('a'), update('b')], new Failure('UNAVAILABLE', 'gone')],
    [[], new Failure('UNAVAILABLE', 'still gone')],
    [[update('c')], undefined],
    [[], new Failure('PERMISSION_DENIED', 'not you')],
  ];
  const client = {
    async *watchKeys({ versionVector = '' }) {
      asked.push(versionVector);
      const [updates, end] = streams[asked.length - 1] ?? [[], undefined];
      yield* updates;
      if (end !== undefined) throw end;
    },
  };
  const retries: string[] = [];
  const watch = watchKeys({
    ...{ client, prefix: 'config/', clock: systemClock, random: seededRandom(1), signal: new AbortController().signal },
    onRetry: ({ message }) => void retries.push(message),
  });
  const seen: string[] = [];
  const all = async () => {
    for await (const { versionVector } of watch) seen.push(versionVector);
  };
  await expect(all()).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  expect(seen).toEqual(['a', 'b', 'c']);
  expect(asked).toEqual(['', 'b', 'b', 'c']);
  expect(retries).toEqual(['gone', 'still gone', 'the region ended the watch']);
});
