import { describe, expect, test } from '@jest/globals';
import { VirtualClock } from './clock.ts';
import { type Component, Lifecycle } from './lifecycle.ts';
import { createLogger } from './logger.ts';

const logger = createLogger({ name: 'test', region: 'r', level: 'silent' });

function build(overrides: Readonly<Record<string, Partial<Component>>> = {}) {
  const events: string[] = [];
  const clock = new VirtualClock();
  const components = ['a', 'b', 'c'].map(
    (name): Component => ({
      name,
      start: async () => void events.push(`start ${name}`),
      drain: async () => void events.push(`drain ${name}`),
      stop: async () => void events.push(`stop ${name}`),
      ...overrides[name],
    }),
  );
  const lifecycle = new Lifecycle(components, {
    drainTimeoutMs: 100,
    stopTimeoutMs: 10,
    startTimeoutMs: 50,
    logger,
    clock,
  });
  return { events, clock, lifecycle };
}

const never = () => new Promise<void>(() => undefined);
const fail = (message: string) => () => Promise.reject(new Error(message));

describe('Lifecycle', () => {
  test('starts in order, drains all in reverse order, then stops in reverse order', async () => {
    const { events, lifecycle, clock } = build();
    await lifecycle.start();
    await lifecycle.shutdown();
    expect(events.join(', ')).toBe('start a, start b, start c, drain c, drain b, drain a, stop c, stop b, stop a');
    expect(clock.pendingTimers).toBe(0);
  });

  test('a failing start stops what was started, itself included, and is thrown', async () => {
    const { events, lifecycle } = build({ b: { start: fail('port taken') } });
    await expect(lifecycle.start()).rejects.toThrow('port taken');
    expect(events).toEqual(['start a', 'stop b', 'stop a']);
    await lifecycle.shutdown();
    expect(events).toHaveLength(3);
  });

  test('a start that hangs is given up', async () => {
    const { clock, lifecycle } = build({ c: { start: never } });
    const start = lifecycle.start();
    const failed = expect(start).rejects.toThrow('start of c took longer than 50 ms');
    await clock.advanceAsync(50);
    await failed;
  });

  test('a failing or late part keeps no other from being stopped, and all failures are reported', async () => {
    const { events, clock, lifecycle } = build({
      a: { stop: fail('disk full') },
      b: { stop: never },
      c: { drain: fail('lost') },
    });
    await lifecycle.start();
    const shutdown = lifecycle.shutdown();
    const failed = expect(shutdown).rejects.toThrow(/lost; stop of b took longer than 10 ms; disk full/);
    await clock.advanceAsync(10);
    await failed;
    expect(events).toEqual(['start a', 'start b', 'start c', 'drain b', 'drain a', 'stop c']);
  });

  test('draining has one budget for all: the signal aborts, late drains are left, stops follow', async () => {
    let aborted = false;
    const { events, clock, lifecycle } = build({
      c: {
        drain: (signal) =>
          new Promise((resolve) => {
            signal.addEventListener('abort', () => {
              aborted = true;
              resolve();
            });
          }),
      },
      b: { drain: never },
    });
    await lifecycle.start();
    const shutdown = lifecycle.shutdown();
    const failed = expect(shutdown).rejects.toThrow(/drain of b was cut short/);
    await clock.advanceAsync(100);
    await failed;
    expect(aborted).toBe(true);
    expect(events.slice(-3)).toEqual(['stop c', 'stop b', 'stop a']);
  });

  test('shutdown during start starts no more, and all callers share one result', async () => {
    const gate = Promise.withResolvers<void>();
    const starting = Promise.withResolvers<void>();
    const start = () => {
      starting.resolve();
      return gate.promise;
    };
    const { events, lifecycle } = build({ b: { start } });
    const refused = expect(lifecycle.start()).rejects.toMatchObject({ code: 'CANCELLED' });
    await starting.promise;
    const first = lifecycle.shutdown();
    expect(lifecycle.shutdown()).toBe(first);
    gate.resolve();
    await refused;
    await first;
    expect(events).toEqual(['start a', 'drain b', 'drain a', 'stop b', 'stop a']);
  });
});
