import { describe, expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import type { Entry } from '@meridian/replica';
import { type Update, Watch } from './watch.ts';

const actor = actorId('beijing', 1n);
const vector = (counter: number) => (counter === 0 ? VersionVector.EMPTY : VersionVector.of([[actor, counter]]));

/** A source in which event n writes key `k<n>`. */
class Source {
  readonly #entries = new Map<string, Entry>();
  vector = VersionVector.EMPTY;
  collected = VersionVector.EMPTY;
  isRecovering = false;
  readonly view = { get: (key: string) => this.#entries.get(key), entries: () => this.#entries.values() };

  collect(key: string): string {
    this.#entries.delete(key);
    return key;
  }

  put(counter: number, bytes = 1, key = `k${counter}`): string {
    const version = { dot: { actor, counter }, hlc: { wallMs: 1, logical: 0 }, deleted: false };
    const versions = [{ ...version, value: Buffer.alloc(bytes) }];
    this.#entries.set(key, { key, versions, context: vector(counter) });
    this.vector = vector(counter);
    return key;
  }
}

async function next(updates: AsyncGenerator<Update, void>): Promise<Update> {
  const { value } = await updates.next();
  if (value === undefined) throw new Error('the watch has ended');
  return value;
}

describe('a watch', () => {
  test('starts with what the reader lacks, says that it has caught up, and goes on with what changes', async () => {
    const source = new Source();
    for (const counter of [1, 2, 3]) source.put(counter);
    const stop = new AbortController();
    const watch = new Watch(source, vector(2));
    const updates = watch.updates(stop.signal);
    const first = await next(updates);
    expect([first.entries.map(({ key }) => key), first.vector.toString(), first.caughtUp]).toEqual([
      ...[['k3'], vector(3).toString(), true],
    ]);
    const waiting = next(updates);
    watch.notify([source.put(4)]);
    expect((await waiting).entries.map(({ key }) => key)).toEqual(['k4']);
    const ended = updates.next();
    stop.abort();
    expect((await ended).done).toBe(true);
  });

  test('tells a reader that has everything just the vector', async () => {
    const source = new Source();
    source.put(1);
    const update = await next(new Watch(source, vector(1)).updates(new AbortController().signal));
    expect(update).toMatchObject({ entries: [], caughtUp: true });
  });

  test('a slow reader gets the newest state of a key once, and a vector only with all that it covers', async () => {
    const source = new Source();
    const watch = new Watch(source, VersionVector.EMPTY);
    const updates = watch.updates(new AbortController().signal);
    await next(updates);
    for (let counter = 1; counter <= 100; counter++) watch.notify([source.put(counter, 1, 'same')]);
    const update = await next(updates);
    expect(update.entries).toHaveLength(1);
    expect(update.vector.toString()).toBe(vector(100).toString());
  });

  test('tells of a key that is gone, also when its reader had not heard of the deletion yet', async () => {
    const source = new Source();
    const key = source.put(1);
    const watch = new Watch(source, VersionVector.EMPTY);
    const updates = watch.updates(new AbortController().signal);
    await next(updates);
    watch.notify([source.put(2, 1, key)]);
    watch.notify([source.collect(key)]);
    expect((await next(updates)).entries).toEqual([{ key, versions: [], context: vector(2) }]);
  });

  test('who begins anew is told everything, once the region has its own state back, under a vector of its own', async () => {
    const source = new Source();
    source.isRecovering = true;
    source.put(1);
    const watch = new Watch(source, vector(7), true);
    const updates = watch.updates(new AbortController().signal);
    let isTold = false;
    const waiting = next(updates).then((update) => {
      isTold = true;
      return update;
    });
    for (const counter of [2, 3, 4]) watch.notify([source.put(counter, 200 * 1024)]);
    await new Promise((tick) => setImmediate(tick));
    expect(isTold).toBe(false);
    source.isRecovering = false;
    watch.notify([]);
    const first = await waiting;
    expect([first.vector.toString(), first.isWhole, first.caughtUp]).toEqual(['', true, false]);
    const last = await next(updates);
    expect([last.vector.toString(), last.isWhole, last.caughtUp]).toEqual([vector(4).toString(), true, true]);
    expect([...first.entries, ...last.entries].map(({ key }) => key)).toEqual(['k1', 'k2', 'k3', 'k4']);
    const more = next(updates);
    watch.notify([source.put(5)]);
    expect((await more).isWhole).toBe(false);
  });

  test('much is sent in several messages, and only the last moves the vector', async () => {
    const source = new Source();
    for (let counter = 1; counter <= 8; counter++) source.put(counter, 200 * 1024);
    const updates = new Watch(source, VersionVector.EMPTY).updates(new AbortController().signal);
    const all: Update[] = [];
    do all.push(await next(updates));
    while (all.at(-1)?.caughtUp === false);
    expect(all.flatMap(({ entries }) => entries)).toHaveLength(8);
    expect(all.length).toBeGreaterThan(2);
    expect(all.map((update) => update.vector.toString())).toEqual([
      ...all.slice(1).map(() => ''),
      vector(8).toString(),
    ]);
  });
});
