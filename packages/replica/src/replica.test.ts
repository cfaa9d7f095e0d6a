import { create, toBinary } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import {
  type WatchResponse as Message,
  ModelRecordSchema,
  ReadyRecordSchema,
  WatchResponseSchema,
} from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { createLogger, seededRandom, VirtualClock } from '@meridian/runtime';
import type { Entry } from './entry.ts';
import { encodeEntry } from './entry-codec.ts';
import { Replica } from './replica.ts';
import { modelKey, readyKey } from './state-key.ts';

/**
 * Goal: a replica never promises what it does not have, survives the end of its stream, and wakes who waits for it.
 * Method: streams by hand, virtual time. The stream of a real sync service is in test/integration/state-sync.test.ts.
 */
const actor = actorId('beijing', 1n);
const other = actorId('shanghai', 1n);
const vector = (counter: number) => VersionVector.of([[actor, counter]]);

/** What a sync service would send; each watch opens a new stream. */
class Streams {
  readonly asked: string[] = [];
  #queue: (Message | Failure)[] = [];
  #news = Promise.withResolvers<void>();

  push(...items: (Message | Failure)[]): void {
    this.#queue.push(...items);
    this.#news.resolve();
  }

  async *watch(
    request: { versionVector?: string },
    options?: { signal?: AbortSignal | undefined },
  ): AsyncGenerator<Message> {
    this.asked.push(request.versionVector ?? '');
    const stop = Promise.withResolvers<void>();
    options?.signal?.addEventListener('abort', () => stop.resolve(), { once: true });
    while (options?.signal?.aborted !== true) {
      const item = this.#queue.shift();
      if (item instanceof Failure) throw item;
      if (item !== undefined) yield item;
      else {
        this.#news = Promise.withResolvers();
        await Promise.race([this.#news.promise, stop.promise]);
      }
    }
  }
}

function message(entries: readonly Entry[], at: VersionVector, caughtUp = true, isWhole = false): Message {
  const versionVector = at.toString();
  return create(WatchResponseSchema, { entries: entries.map(encodeEntry), versionVector, caughtUp, isWhole });
}

function entry(key: string, value: Uint8Array | undefined, counter: number, by = actor, wallMs = counter): Entry {
  const dot = { actor: by, counter };
  const version = { dot, hlc: { wallMs, logical: 0 }, value: value ?? new Uint8Array(0), deleted: value === undefined };
  return { key, versions: [version], context: VersionVector.of([[by, counter]]) };
}

function model(name: string, digest: string, counter: number, by = actor, wallMs = counter): Entry {
  const record = create(ModelRecordSchema, { name, modelDigest: digest, manifest: JSON.stringify({ name }) });
  return entry(modelKey(name), toBinary(ModelRecordSchema, record), counter, by, wallMs);
}

function ready(region: string, digest: string, isReady: boolean, counter: number): Entry {
  const record = create(ReadyRecordSchema, { region, modelDigest: digest });
  return entry(readyKey(region, digest), isReady ? toBinary(ReadyRecordSchema, record) : undefined, counter);
}

let streams: Streams;
let clock: VirtualClock;
let replica: Replica;

beforeEach(async () => {
  streams = new Streams();
  clock = new VirtualClock();
  const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });
  replica = new Replica({ client: streams, clock, logger, random: seededRandom(1) });
  await replica.start();
});

afterEach(async () => {
  await replica.stop();
  expect(clock.pendingTimers).toBe(0);
});

const settle = () => clock.advanceAsync(0);

describe('following', () => {
  test('applies entries, then the vector, and has caught up when it is told so', async () => {
    let changes = 0;
    replica.onChange(() => changes++);
    streams.push(message([model('small', 'd1', 1)], VersionVector.EMPTY, false));
    await settle();
    expect(replica.vector().toString()).toBe('');
    streams.push(message([], vector(1)));
    await replica.caughtUp;
    expect(replica.vector().toString()).toBe(vector(1).toString());
    expect(replica.model('small')).toMatchObject({ digest: 'd1', manifest: { name: 'small' }, dot: { counter: 1 } });
    expect(changes).toBe(2);
  });

  test('takes a lost stream up again from its vector, and keeps what it has meanwhile', async () => {
    streams.push(message([model('small', 'd1', 1)], vector(1)), new Failure('UNAVAILABLE', 'gone'));
    await settle();
    expect(replica.model('small')?.digest).toBe('d1');
    await clock.advanceAsync(1_000);
    expect(streams.asked).toEqual(['', vector(1).toString()]);
    streams.push(message([model('small', 'd2', 2)], vector(2)));
    await settle();
    expect(replica.model('small')?.digest).toBe('d2');
  });

  test('never goes back: neither its vector nor an entry, whatever a sync service that lost something sends', async () => {
    streams.push(message([model('small', 'd2', 2)], vector(2)));
    streams.push(message([model('small', 'd1', 1)], vector(1)));
    await settle();
    expect(replica.vector().toString()).toBe(vector(2).toString());
    expect(replica.model('small')?.digest).toBe('d2');
  });

  test('of a region that begins anew it takes the whole state at once, in place of what it had, also if that is older', async () => {
    streams.push(message([model('small', 'd3', 3), model('left', 'd4', 4)], vector(4)));
    await settle();
    let changes = 0;
    replica.onChange(() => changes++);
    streams.push(message([model('small', 'd1', 1, other)], VersionVector.EMPTY, false, true));
    await settle();
    expect([replica.model('left')?.digest, replica.vector().toString(), changes]).toEqual([
      'd4',
      vector(4).toString(),
      0,
    ]);
    const waiting = replica.waitForRecords([{ key: modelKey('large'), dot: { actor: other, counter: 2 } }], 1_000);
    const anew = VersionVector.of([[other, 2]]);
    streams.push(message([model('large', 'd2', 2, other)], anew, true, true));
    expect(await waiting).toBe(true);
    expect(replica.models().map(({ digest }) => digest)).toEqual(['d2', 'd1']);
    expect([replica.vector().toString(), changes]).toEqual([anew.toString(), 1]);
  });

  test('a whole state that breaks off changes nothing', async () => {
    streams.push(message([model('small', 'd1', 1)], vector(1)));
    streams.push(message([model('large', 'd2', 1, other)], VersionVector.EMPTY, false, true));
    streams.push(new Failure('UNAVAILABLE', 'gone'));
    await clock.advanceAsync(1_000);
    expect(streams.asked).toEqual(['', vector(1).toString()]);
    streams.push(message([model('small', 'd2', 2)], vector(2)));
    await settle();
    expect(replica.models().map(({ name, digest }) => [name, digest])).toEqual([['small', 'd2']]);
  });

  test('a message that is not valid ends the stream, not the replica', async () => {
    streams.push(create(WatchResponseSchema, { versionVector: 'not a vector' }));
    await clock.advanceAsync(1_000);
    streams.push(message([model('small', 'd1', 1)], vector(1)));
    await settle();
    expect(replica.model('small')?.digest).toBe('d1');
  });
});

describe('waiting', () => {
  const dot = { actor, counter: 2 };

  test('ends when all dots were seen, at once when they are there', async () => {
    const waiting = replica.waitFor([dot], 1_000);
    streams.push(message([], vector(1)), message([], vector(2)));
    expect(await waiting).toBe(true);
    expect(await replica.waitFor([dot, { actor, counter: 1 }], 0)).toBe(true);
    expect(await replica.waitFor([], 0)).toBe(true);
  });

  test('does not wait for what others wrote', async () => {
    const waiting = replica.waitFor([dot], 1_000);
    streams.push(message([], VersionVector.of([[other, 5]])));
    await settle();
    streams.push(message([], vector(2)));
    expect(await waiting).toBe(true);
  });

  test('of a key ends with its entry, before the vector has what its author wrote earlier elsewhere', async () => {
    const record = { key: modelKey('small'), dot };
    const waiting = replica.waitForRecords([record], 1_000);
    streams.push(message([model('large', 'd', 1, other)], VersionVector.of([[other, 1]])));
    await settle();
    expect(replica.missing([record])).toEqual([record]);
    streams.push(message([model('small', 'd1', 2)], VersionVector.of([[other, 1]]), false));
    expect(await waiting).toBe(true);
    expect(replica.vector().contains(dot)).toBe(false);
    expect(replica.missing([{ key: modelKey('large'), dot }])).toHaveLength(1);
    expect(await replica.waitFor([dot], 0)).toBe(false);
  });

  test('of a key ends with a newer record of it, and with its deletion', async () => {
    const waiting = replica.waitForRecords([{ key: modelKey('small'), dot }], 1_000);
    streams.push(message([model('small', 'd3', 3)], VersionVector.EMPTY, false));
    expect(await waiting).toBe(true);
    const deleted = replica.waitForRecords([{ key: modelKey('gone'), dot }], 1_000);
    streams.push(message([entry(modelKey('gone'), undefined, 4)], VersionVector.EMPTY, false));
    expect(await deleted).toBe(true);
  });

  test('gives up in time, on abort, and when the replica stops', async () => {
    const late = replica.waitFor([dot], 100);
    await clock.advanceAsync(100);
    expect(await late).toBe(false);
    const abort = new AbortController();
    const aborted = replica.waitFor([dot], 1_000, abort.signal);
    abort.abort();
    expect(await aborted).toBe(false);
    const stopped = replica.waitFor([dot], 1_000);
    await replica.stop();
    expect(await stopped).toBe(false);
  });
});

describe('models', () => {
  test('the empty name is the default model', async () => {
    streams.push(message([model('centernet-320', 'd', 1)], vector(1)));
    await settle();
    expect(replica.model('')?.digest).toBe('d');
    expect(replica.model('unknown')).toBeUndefined();
  });

  test('of concurrent versions the winner has the name; a digest finds the others too', async () => {
    const a = model('small', 'd1', 1, actor, 10);
    const b = model('small', 'd2', 1, other, 20);
    const both = { key: a.key, versions: [...a.versions, ...b.versions], context: a.context.merge(b.context) };
    streams.push(message([both], both.context));
    await settle();
    expect(replica.model('small')?.digest).toBe('d2');
    expect(replica.modelByDigest('d1')?.dot.actor).toBe(actor);
  });

  test('of a key of which nothing is left nothing is kept', async () => {
    streams.push(message([model('small', 'd1', 1)], vector(1)));
    streams.push(message([entry(modelKey('small'), undefined, 2)], vector(2)));
    await settle();
    expect([...replica.entries()]).toHaveLength(1);
    streams.push(message([{ key: modelKey('small'), versions: [], context: vector(2) }], vector(2)));
    await settle();
    expect([...replica.entries()]).toEqual([]);
    expect(await replica.waitForRecords([{ key: modelKey('small'), dot: { actor, counter: 2 } }], 0)).toBe(true);
  });

  test('a deleted model is gone; a record that cannot be read hides no other', async () => {
    streams.push(message([model('small', 'd1', 1), entry(modelKey('bad'), Buffer.from('?'), 2)], vector(2)));
    await settle();
    expect(replica.models().map(({ name }) => name)).toEqual(['small']);
    streams.push(message([entry(modelKey('small'), undefined, 3)], vector(3)));
    await settle();
    expect(replica.models()).toEqual([]);
    expect(replica.modelByDigest('d1')).toBeUndefined();
  });

  test('regions are ready while their record says so', async () => {
    streams.push(message([ready('beijing', 'd', true, 1), ready('shanghai', 'd', true, 2)], vector(2)));
    await settle();
    const before = replica.readyRegions('d');
    expect(before).toEqual(new Set(['beijing', 'shanghai']));
    streams.push(message([ready('beijing', 'd', false, 3)], vector(3)));
    await settle();
    expect(replica.readyRegions('d')).toEqual(new Set(['shanghai']));
    expect(before.size).toBe(2);
    expect([...replica.entries('ready/')]).toHaveLength(2);
  });
});
