import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type ActorId, actorId, type Timestamp, VersionVector } from '@meridian/causality';
import { subject } from '@meridian/contracts';
import { MemberAction } from '@meridian/contracts/state';
import type { Entry } from '@meridian/replica';
import { systemClock } from '@meridian/runtime';
import { encodeDelta, encodeFetchAnswer } from '@meridian/sync';
import type { Subscription } from '@nats-io/transport-node';
import { speaker } from '../garbage/sync-messages.ts';
import { publish, Target } from '../garbage/target.ts';
import { until } from '../support/region-brokers.ts';

/**
 * Goal: what is well-formed and wrong all the same crashes no sync service and changes nothing of its state; each piece is
 * counted and logged by name. Method: a real service behind a real broker; shanghai's sync service is played here, and
 * says what no sound one would. Garbage that is not well-formed: sync-garbage.test.ts.
 */
const DELTA = subject('delta', { origin: 'shanghai' });
const HOUR_MS = 3_600_000;
const speak = speaker('shanghai');
/** Lives of shanghai: each test has its own. */
let lives = 0;

interface Event {
  readonly key?: string;
  readonly value?: string | Uint8Array;
  readonly actor?: ActorId;
  readonly hlc?: Timestamp;
  /** Of its dot. */
  readonly counter?: number;
  /** Whose new event the delta brings, when it is not the actor's own. */
  readonly by?: ActorId;
  /** What the delta says of that author: from one event to another. */
  readonly range?: readonly [from: number, to: number];
}

function newActor(region = 'shanghai'): ActorId {
  lives += 1;
  return actorId(region, BigInt(lives));
}

/** Tells beijing of one event. */
function tell(target: Target, event: Event): void {
  const { key = 'config/a', value = 'v', actor = newActor(), counter = 1, range = [0, 1] } = event;
  const { hlc = { wallMs: Math.round(systemClock.nowMs()), logical: 0 } } = event;
  const { by = actor } = event;
  const [from, to] = range.map((n) => (n === 0 ? VersionVector.EMPTY : VersionVector.of([[by, n]])));
  if (from === undefined || to === undefined) throw new RangeError('from one event to another');
  const version = { dot: { actor, counter }, hlc, value: Buffer.from(value), deleted: false };
  const entries: Entry[] = [{ key, versions: [version], context: to }];
  publish(
    target.mad,
    speak(
      DELTA,
      'meridian.state.delta.v1',
      encodeDelta({ generation: 0, entries, from, to, lists: VersionVector.EMPTY, forgotten: VersionVector.EMPTY }),
    ),
  );
}

/** A round of fetching brings nothing but this vector. */
function answerWith(target: Target, vector: VersionVector): Subscription {
  const flags = {
    isWholeRange: false,
    isRefused: false,
    isRecovering: false,
    heardActors: [],
    collected: VersionVector.EMPTY,
  };
  return target.mad.subscribe(subject('stateFetch', { target: 'shanghai' }), {
    callback: (_, question) => {
      const sentAtMs = Math.round(systemClock.nowMs());
      const answer = encodeFetchAnswer({ generation: 0, entries: [], vector, nextKey: '', sentAtMs, ...flags });
      publish(target.mad, speak(question.reply ?? '', 'meridian.state.fetched.v1', answer));
    },
  });
}

const alarms = (target: Target, reason: string) => target.counted('meridian_sync_alarms_total', `"${reason}"`);
const refusals = (target: Target, reason: string) => target.counted('meridian_sync_refused_total', `"${reason}"`);

/** It is counted, logged, and leaves everything as it was. */
async function changesNothing(
  target: Target,
  reason: string,
  counter: (target: Target, reason: string) => Promise<number>,
  act: () => void | Promise<void>,
): Promise<void> {
  const [before, counted, { pid }] = [await target.state(), await counter(target, reason), target.sync];
  await act();
  await until(async () => (await counter(target, reason)) > counted || `${reason} is not counted`);
  // The line comes through a pipe, the count by a request.
  await until(() => target.sync.log.includes(reason) || `${reason} is not logged`);
  expect([await target.state(), target.sync.pid]).toEqual([before, pid]);
}

async function opened(models?: readonly string[]): Promise<{ target: Target; close: () => Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'meridian-bad-input-'));
  const target = await Target.open(directory, models);
  const close = async () => {
    await target.close();
    await rm(directory, { recursive: true, force: true });
  };
  return { target, close };
}

describe('from another region', () => {
  let target: Target;
  let close: () => Promise<void>;

  beforeAll(async () => {
    ({ target, close } = await opened());
  }, 60_000);
  afterAll(() => close?.());

  test('an entry that is too large is held back', async () => {
    await changesNothing(target, 'ENTRY_TOO_LARGE', alarms, () => tell(target, { value: new Uint8Array(800 * 1024) }));
  });

  test.each([
    ['that would be all keys', '*'],
    ['that no subject can have, once it is escaped', '.'.repeat(67)],
    ['that is too long', `config/${'x'.repeat(200)}`],
    ['of the log itself', '~meta'],
    ['that is empty', ''],
  ])('a key %s is refused', async (_, key) => {
    await changesNothing(target, 'ENTRY_INVALID', refusals, () => tell(target, { key }));
  });

  test('an event of an unknown region is held back', async () => {
    await changesNothing(target, 'NOT_A_MEMBER', alarms, () =>
      tell(target, { actor: newActor('atlantis'), by: newActor() }),
    );
  });

  test('a timestamp beyond the drift bound is held back', async () => {
    const hlc = { wallMs: Math.round(systemClock.nowMs()) + HOUR_MS, logical: 0 };
    await changesNothing(target, 'FAR_FUTURE', alarms, () => tell(target, { hlc }));
  });

  test('a dot that is there with different content is held back, and its author quarantined', async () => {
    const actor = newActor();
    tell(target, { key: 'config/dot', value: 'first', actor });
    await until(async () => (await target.state()).includes(Buffer.from('config/dot').toString('hex')));
    const again = { key: 'config/dot', value: 'second', actor, range: [1, 2] } as const;
    await changesNothing(target, 'DOT_REUSED', alarms, () => tell(target, again));
    const more = { key: 'config/other', actor, counter: 2, range: [1, 2] } as const;
    await changesNothing(target, 'NOT_A_MEMBER', alarms, () => tell(target, more));
  });

  test('what a removed region says is not heard', async () => {
    const client = target.sync.client('operator');
    await client.changeMember({ region: 'shanghai', action: MemberAction.REMOVE });
    // The region seals the other one, and then its lives leave the vector.
    const seal = Buffer.from('seal/shanghai/beijing').toString('hex');
    await until(async () => {
      const state = await target.state();
      return (state.includes(seal) && !state.includes('shanghai@')) || 'the removed region is not sealed';
    });
    await changesNothing(target, 'NOT_A_MEMBER', alarms, () => tell(target, {}));
  });
});

describe('from clients', () => {
  let target: Target;
  let close: () => Promise<void>;

  beforeAll(async () => {
    ({ target, close } = await opened([]));
  }, 60_000);
  afterAll(() => close?.());

  test('values and keys that cannot be written are refused by name', async () => {
    const client = target.sync.client('operator');
    const put = (key: string, bytes: number) => client.put({ key, value: new Uint8Array(bytes) }, { timeoutMs: 5_000 });
    const before = await target.state();
    await expect(put('config/a', 96 * 1024 + 1)).rejects.toMatchObject({ reason: 'ENTRY_TOO_LARGE' });
    for (const key of ['config/*', `config/${'.'.repeat(65)}`, 'config/', `config/${'x'.repeat(181)}`])
      await expect(put(key, 1)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'KEY_INVALID' });
    await expect(put('*', 1)).rejects.toMatchObject({ reason: 'KEY_RESERVED' });
    await expect(client.get({ key: '*' })).rejects.toMatchObject({ reason: 'KEY_INVALID' });
    expect(await target.state()).toBe(before);
    const counts = ['ENTRY_TOO_LARGE', 'KEY_INVALID', 'KEY_RESERVED'].map((reason) => refusals(target, reason));
    expect(await Promise.all(counts)).toEqual([1, 5, 1]);
    await until(() => target.sync.log.includes('KEY_INVALID') || 'KEY_INVALID is not logged');
  });

  test('the write that would need a 65th live entry is refused by name, and alarms', async () => {
    const full = VersionVector.of(Array.from({ length: 64 }, () => [newActor(), 1] as const));
    const answering = answerWith(target, full);
    const client = target.sync.client('operator');
    await until(async () => (await target.counted('meridian_sync_vector_entries')) === 64 || 'the vector is not full');
    const write = () => client.put({ key: 'config/a', value: Buffer.from('v') }, { timeoutMs: 5_000 });
    await changesNothing(target, 'VECTOR_FULL', alarms, async () => {
      await expect(write()).rejects.toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'VECTOR_FULL' });
    });
    answering.unsubscribe();
  });
});
