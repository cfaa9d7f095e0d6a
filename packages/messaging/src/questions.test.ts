import { describe, expect, test } from '@jest/globals';
import { Failure } from '@meridian/failure';
import { VirtualClock } from '@meridian/runtime';
import { Backlog, UNCONFIRMED_BYTES_MAX } from './backlog.ts';
import { QUESTIONS_MAX, Questions, type Settle } from './questions.ts';

const outcome = (promise: Promise<unknown>): Promise<unknown> => promise.catch((thrown: unknown) => thrown);

describe('Questions', () => {
  test('each ends once, is forgotten once, and leaves no timer', async () => {
    const clock = new VirtualClock();
    const questions = new Questions(clock);
    const settles: Settle<string>[] = [];
    let forgotten = 0;
    const ask = (signal?: AbortSignal): Promise<unknown> =>
      outcome(
        questions.ask<string>(
          (settle) => {
            settles.push(settle);
            return () => forgotten++;
          },
          100,
          signal,
        ),
      );
    const abort = new AbortController();
    const asked = [ask(), ask(), ask(abort.signal), ask(), ask()];
    settles[0]?.('answer');
    settles[0]?.('another');
    settles[1]?.(new Failure('ABORTED', 'no'));
    abort.abort();
    clock.advance(100);
    settles[3]?.('too late');
    expect(await Promise.all(asked)).toMatchObject([
      'answer',
      { code: 'ABORTED' },
      { code: 'CANCELLED' },
      { reason: 'NO_REPLY' },
      { reason: 'NO_REPLY' },
    ]);
    expect(forgotten).toBe(5);
    expect(clock.pendingTimers).toBe(0);
    await questions.idle();
  });

  test('one that is settled while it is sent is forgotten too', async () => {
    const clock = new VirtualClock();
    let forgotten = 0;
    const asked = new Questions(clock).ask<string>((settle) => {
      settle('at once');
      return () => forgotten++;
    }, 100);
    expect(await asked).toBe('at once');
    expect(forgotten).toBe(1);
    expect(clock.pendingTimers).toBe(0);
  });

  test('a lost connection ends all; more than the limit are refused', async () => {
    const questions = new Questions(new VirtualClock());
    const open = Array.from({ length: QUESTIONS_MAX }, () => outcome(questions.ask(() => () => undefined, 100)));
    expect(await outcome(questions.ask(() => () => undefined, 100))).toMatchObject({ reason: 'BACKLOG_FULL' });
    let idle = false;
    const idling = questions.idle().then(() => {
      idle = true;
    });
    expect(idle).toBe(false);
    questions.failAll();
    await idling;
    for (const failure of await Promise.all(open)) expect(failure).toMatchObject({ reason: 'CONNECTION_LOST' });
  });
});

describe('Backlog', () => {
  test('is full until a pong confirms what was sent before its ping; a new connection begins anew', async () => {
    const pongs: (() => void)[] = [];
    const backlog = new Backlog(() => new Promise<void>((resolve) => pongs.push(resolve)));
    backlog.sent(1000);
    expect(pongs).toHaveLength(0);
    backlog.sent(UNCONFIRMED_BYTES_MAX - 1000);
    expect([backlog.full, pongs.length]).toEqual([false, 1]);
    backlog.sent(1);
    expect([backlog.full, pongs.length]).toEqual([true, 1]);
    pongs[0]?.();
    await new Promise(setImmediate);
    expect(backlog.full).toBe(false);
    backlog.sent(UNCONFIRMED_BYTES_MAX);
    expect([backlog.full, pongs.length]).toEqual([true, 2]);
    backlog.reset();
    expect(backlog.full).toBe(false);
    pongs[1]?.();
    await new Promise(setImmediate);
    backlog.sent(UNCONFIRMED_BYTES_MAX);
    expect(backlog.full).toBe(false);
  });
});
