import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import type { Entry, RequiredRecord } from '@meridian/replica';
import { seededRandom, VirtualClock } from '@meridian/runtime';
import { AWAITS_MAX, AwaitedRecords } from './awaited-records.ts';

/** Goal: waits end by their records alone, and their region is asked at once, again, and no more than needed. */
const actor = actorId('beijing', 1n);
const other = actorId('guangzhou', 1n);
const record = (key: string, counter: number): RequiredRecord => ({ key, dot: { actor, counter } });

class State {
  vector = VersionVector.EMPTY;
  readonly #entries = new Map<string, Entry>();
  readonly listeners = new Set<() => void>();
  get = (key: string) => this.#entries.get(key);

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  put(key: string, counter: number, by = actor): void {
    const version = { dot: { actor: by, counter }, hlc: { wallMs: 1, logical: 0 }, value: Buffer.from('v') };
    const versions = [{ ...version, deleted: false }];
    this.#entries.set(key, { key, versions, context: VersionVector.of([[by, counter]]) });
    for (const listener of this.listeners) listener();
  }
}

let clock: VirtualClock;
let state: State;
let asked: string[];
let awaited: AwaitedRecords;
const { signal } = new AbortController();

beforeEach(() => {
  clock = new VirtualClock();
  state = new State();
  asked = [];
  awaited = new AwaitedRecords({
    ...{ state, clock, random: seededRandom(1), isMember: (region: string) => region !== 'shanghai' },
    fetchKeys: (region, keys) => void asked.push(`${region}: ${keys.join(' ')}`),
  });
});

afterEach(() => {
  expect(clock.pendingTimers).toBe(0);
  expect(state.listeners.size).toBe(0);
});

describe('a wait', () => {
  test('for what is here ends at once and asks nobody', async () => {
    state.put('model/a', 7);
    expect(await awaited.wait([record('model/a', 7), record('model/a', 3)], 'beijing', 1_000, signal)).toEqual([]);
    state.vector = VersionVector.of([[actor, 9]]);
    expect(await awaited.wait([record('gone', 9)], 'beijing', 1_000, signal)).toEqual([]);
    expect(asked).toEqual([]);
  });

  test('asks the region at once, and ends with the record although its author wrote more that is missing', async () => {
    const waiting = awaited.wait([record('model/a', 7), record('tenant/t', 8)], 'beijing', 10_000, signal);
    expect(asked).toEqual(['beijing: model/a tenant/t']);
    state.put('model/a', 7);
    state.put('label/x', 100, other);
    state.put('tenant/t', 9);
    expect(await waiting).toEqual([]);
  });

  test('asks again while something is missing, and then only for that', async () => {
    const waiting = awaited.wait([record('model/a', 7), record('tenant/t', 8)], 'beijing', 10_000, signal);
    state.put('model/a', 7);
    await clock.advanceAsync(250);
    expect(asked).toEqual(['beijing: model/a tenant/t', 'beijing: tenant/t']);
    await clock.advanceAsync(10_000);
    expect(await waiting).toEqual([record('tenant/t', 8)]);
    expect(asked.length).toBeGreaterThanOrEqual(6);
    expect(asked.length).toBeLessThanOrEqual(14);
  });

  test('of many for the same asks once', async () => {
    const records = [record('model/a', 7)];
    const waits = Array.from({ length: AWAITS_MAX }, () => awaited.wait(records, 'beijing', 1_000, signal));
    expect(asked).toEqual(['beijing: model/a']);
    await expect(awaited.wait(records, 'beijing', 1_000, signal)).rejects.toMatchObject({
      ...{ code: 'RESOURCE_EXHAUSTED', reason: 'TOO_MANY_WAITERS', retryable: true },
    });
    state.put('model/a', 7);
    expect((await Promise.all(waits)).flat()).toEqual([]);
  });

  test('on a region that is cut off does not hold up one on another', async () => {
    const cut = awaited.wait([record('model/a', 7)], 'guangzhou', 60_000, signal);
    const waiting = awaited.wait([record('model/b', 8)], 'beijing', 60_000, signal);
    expect(asked).toEqual(['guangzhou: model/a', 'beijing: model/b']);
    state.put('model/b', 8);
    expect(await waiting).toEqual([]);
    await clock.advanceAsync(60_000);
    expect(await cut).toHaveLength(1);
  });

  test('ends when its caller leaves; on the own region it asks nobody', async () => {
    const leave = new AbortController();
    const waiting = awaited.wait([record('model/a', 7)], 'shanghai', 60_000, leave.signal);
    leave.abort();
    expect(await waiting).toHaveLength(1);
    expect(asked).toEqual([]);
  });
});
