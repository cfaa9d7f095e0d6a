import { describe, expect, test } from '@jest/globals';
import { Failure } from '@meridian/failure';
import { Inbox } from './inbox.ts';

function inboxOf(limits: { messagesMax?: number; bytesMax?: number } = {}) {
  const counts = { pulls: 0, abandoned: 0 };
  const inbox = new Inbox<number>({
    messagesMax: limits.messagesMax ?? 4,
    bytesMax: limits.bytesMax ?? 1000,
    pull: () => {
      counts.pulls += 1;
    },
    abandoned: () => {
      counts.abandoned += 1;
    },
  });
  return { inbox, counts };
}

describe('reading ahead', () => {
  test('one pull at a time, none while the messages or the bytes are at their bound', async () => {
    const { inbox, counts } = inboxOf({ messagesMax: 3, bytesMax: 100 });
    inbox.fill();
    inbox.fill();
    expect(counts.pulls).toBe(1);
    inbox.push(1, 10);
    inbox.push(2, 10);
    expect(counts.pulls).toBe(3);
    inbox.push(3, 10);
    expect(counts.pulls).toBe(3);
    await inbox.next();
    expect(counts.pulls).toBe(4);
    inbox.push(4, 90); // room for a message, not for bytes
    await inbox.next();
    expect(counts.pulls).toBe(4);
    await inbox.next();
    expect(counts.pulls).toBe(5);
  });
});

describe('the end', () => {
  test('comes after what was queued', async () => {
    const { inbox } = inboxOf();
    inbox.push(1, 1);
    inbox.finish();
    expect(await inbox.next()).toEqual({ done: false, value: 1 });
    expect(await inbox.next()).toEqual({ done: true, value: undefined });
  });

  test('a failure, too, and every later read sees it', async () => {
    const { inbox } = inboxOf();
    const failure = new Failure('UNAVAILABLE', 'gone');
    inbox.push(1, 1);
    inbox.fail(failure);
    inbox.push(2, 1);
    expect(await inbox.next()).toEqual({ done: false, value: 1 });
    await expect(inbox.next()).rejects.toBe(failure);
    await expect(inbox.next()).rejects.toBe(failure);
  });

  test('wakes all who wait', async () => {
    const { inbox } = inboxOf();
    const reads = [inbox.next(), inbox.next()];
    inbox.push(1, 1);
    inbox.finish();
    expect(await Promise.all(reads)).toEqual([
      { done: false, value: 1 },
      { done: true, value: undefined },
    ]);
  });

  test('a left loop drops the queue, tells the transport once, and pulls no more', async () => {
    const { inbox, counts } = inboxOf();
    inbox.push(1, 1);
    inbox.push(2, 1);
    for await (const _ of inbox) break;
    const { pulls } = counts;
    inbox.push(3, 1);
    expect(counts).toEqual({ pulls, abandoned: 1 });
    expect(await inbox.next()).toEqual({ done: true, value: undefined });
  });
});
