import { describe, expect, test } from '@jest/globals';
import { Failure } from '@meridian/failure';
import fc from 'fast-check';
import { ATTACH, CLOSE, Outbox } from './outbox.ts';

const over = new Failure('CANCELLED', 'over');

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of source) all.push(item);
  return all;
}

describe('outbox read as an iterable', () => {
  test('gives what was pushed, before and after the reader came, in order', async () => {
    const outbox = new Outbox<number>();
    outbox.push(1);
    const all = collect(outbox);
    outbox.push(2);
    await Promise.resolve();
    outbox.push(3);
    outbox.finish();
    expect(await all).toEqual([1, 2, 3]);
  });

  test('ends with the failure it was finished with, after what came before', async () => {
    const outbox = new Outbox<number>();
    outbox.push(1);
    outbox.finish(new Failure('ABORTED', 'stop'));
    const seen: number[] = [];
    const reading = (async () => {
      for await (const item of outbox) seen.push(item);
    })();
    await expect(reading).rejects.toThrow('stop');
    expect(seen).toEqual([1]);
  });

  test('is bounded: false when full, then a refusal', async () => {
    const outbox = new Outbox<number>({ messagesMax: 2 });
    expect([outbox.push(1), outbox.push(2)]).toEqual([true, false]);
    const room = outbox.ready();
    for (let n = 3; n <= 8; n += 1) outbox.push(n);
    expect(() => outbox.push(9)).toThrow(expect.objectContaining({ reason: 'OUTBOX_FULL' }));
    const reader = outbox[Symbol.asyncIterator]();
    for (let n = 1; n <= 8; n += 1) expect((await reader.next()).value).toBe(n);
    await room;
  });

  test('a reader that leaves closes it', async () => {
    const outbox = new Outbox<number>();
    outbox.push(1);
    for await (const _ of outbox) break;
    expect(outbox.closed).toBe(true);
    expect(outbox.push(2)).toBe(false);
    await expect(outbox.ready()).rejects.toMatchObject({ reason: 'READER_LEFT' });
  });
});

describe('outbox attached to a call', () => {
  test('order is kept whenever the call takes it over', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(20), fc.nat(20), async (before, after) => {
        const outbox = new Outbox<number>();
        const sent: number[] = [];
        for (let n = 0; n < before; n += 1) outbox.push(n);
        const done = outbox[ATTACH]({ send: (n) => sent.push(n) > 0, ready: async () => {} });
        for (let n = before; n < before + after; n += 1) outbox.push(n);
        outbox.finish();
        await done;
        expect(sent).toEqual(Array.from({ length: before + after }, (_, n) => n));
      }),
    );
  });

  test('what was pushed and finished before is sent', async () => {
    const outbox = new Outbox<number>();
    outbox.push(1);
    outbox.finish();
    const sent: number[] = [];
    await outbox[ATTACH]({ send: (n) => sent.push(n) > 0, ready: async () => {} });
    expect(sent).toEqual([1]);
  });

  test('the end of the call closes it and frees whoever waits for room', async () => {
    const outbox = new Outbox<number>({ messagesMax: 1 });
    outbox.push(1);
    const room = outbox.ready();
    outbox[CLOSE](over);
    await expect(room).rejects.toBe(over);
    expect(outbox.push(2)).toBe(false);
  });
});
