import { expect, test } from '@jest/globals';
import { VirtualClock } from '@meridian/runtime';
import { Inbox } from './inbox.ts';
import { withSilenceLimit } from './silence-limit.ts';

function open() {
  const clock = new VirtualClock();
  const inbox = new Inbox<number>({ messagesMax: 8, bytesMax: 1000, pull: () => undefined });
  return { clock, inbox, limited: withSilenceLimit(inbox, { silenceMs: 1000, clock }) };
}

test('a caller that goes on slowly is heard to the end', async () => {
  const { clock, inbox, limited } = open();
  for (const number of [1, 2, 3]) {
    const next = limited.next();
    clock.advance(900);
    inbox.push(number, 1);
    expect(await next).toEqual({ done: false, value: number });
  }
  inbox.finish();
  expect(await limited.next()).toEqual({ done: true, value: undefined });
});

test('one that falls silent is given up, and its source is closed', async () => {
  const { clock, inbox, limited } = open();
  const next = limited.next();
  clock.advance(1000);
  await expect(next).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED', reason: 'CALLER_SILENT', retryable: true });
  expect(inbox.ended).toBe(true);
});

test('the time that the reader takes does not count', async () => {
  const { clock, inbox, limited } = open();
  inbox.push(1, 1);
  await limited.next();
  clock.advance(5000);
  inbox.push(2, 1);
  expect(await limited.next()).toEqual({ done: false, value: 2 });
});
