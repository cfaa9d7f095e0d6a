import { describe, expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import { seededRandom } from '@meridian/runtime';
import { META_KEY, type Output, type StoredRecord } from './protocol.ts';
import { type ReadableLog, recoverLog } from './state-log.ts';
import { StateMachine } from './state-machine.ts';

const actor = actorId('beijing', 1n);
const seen = (counter: number) => VersionVector.of([[actor, counter]]);
const now = { wallMs: 1_000, monotonicMs: 0 };

function stored(key: string, counter: number): StoredRecord {
  const hlc = { wallMs: counter, logical: 0 };
  const version = { dot: { actor, counter }, hlc, value: Buffer.from(key), deleted: false };
  const clock = counter === 1 ? VersionVector.EMPTY : seen(counter - 1);
  const entry = { key, versions: [version], context: VersionVector.EMPTY };
  return { record: { key, entry, lineage: { actor, counter }, clock, last: hlc }, sequence: counter };
}

/** Event 1 wrote config/a and cannot be read; event 2 wrote config/b. */
const left: ReadableLog = {
  records: [stored('config/b', 2)],
  unreadable: new Map([['config/a', 1]]),
  isComplete: false,
};

const start = (log: ReturnType<typeof recoverLog>) =>
  new StateMachine(
    {
      ...{ region: 'beijing', members: ['shanghai'], random: seededRandom(1), hadLog: true },
      ...{ fetchIntervalMs: 10_000, headIntervalMs: 1_000, driftMaxMs: 500 },
    },
    log,
    now,
  );
const appended = (outputs: readonly Output[]) =>
  outputs.flatMap((output) => (output.kind === 'append' ? [output] : []));

test('of a log with a record that cannot be read nothing is taken for seen but what each key has seen itself', () => {
  const log = recoverLog(left);
  expect(log.vector.toString()).toBe('');
  expect(log.entries[0]?.entry.context.toString()).toBe(seen(2).toString());
  expect(start(log).vector.toString()).toBe('');
});

test('that is noted before anything else is written, and holds when every record can be read again', () => {
  const machine = start(recoverLog(left));
  const change = { key: 'config/a', value: Buffer.from('again'), when: 'differs' } as const;
  const [note, ...early] = appended(machine.step([{ kind: 'write', id: 1, change }], now));
  expect([note?.record.key, note?.record.meta?.distrustedUntil, early]).toEqual([META_KEY, 2, []]);
  if (note === undefined) return;
  const [write] = appended(machine.step([{ kind: 'appended', id: note.id, sequence: 3 }], now));
  if (write === undefined) throw new Error('the write did not follow');
  // What could not be read is in its place, and is replaced.
  expect([write.record.key, write.expectedSequence]).toEqual(['config/a', 1]);
  const records = [...left.records, { record: note.record, sequence: 3 }, { record: write.record, sequence: 4 }];
  const { vector } = recoverLog({ records, unreadable: new Map(), isComplete: true });
  expect(vector.counterOf(actor)).toBe(0);
  expect(vector.size).toBe(1);
});

describe('records that were written together', () => {
  const before = { key: 'config/b', versions: [], context: VersionVector.EMPTY };
  /** Events 2 and 3, after event 1. */
  const grouped = (key: string, counter: number): StoredRecord => {
    const { record, sequence } = stored(key, counter);
    return { record: { ...record, clock: seen(1), group: { size: 2, last: 3, before: { ...before, key } } }, sequence };
  };
  const alone = stored('config/a', 1);

  test('count when all of them are there', () => {
    const { vector, entries } = recoverLog({
      records: [alone, grouped('config/b', 2), grouped('config/c', 3)],
      unreadable: new Map(),
      isComplete: true,
    });
    expect(vector.toString()).toBe(seen(3).toString());
    expect(entries.map(({ isUndone }) => isUndone)).toEqual([false, false, false]);
  });

  test('count when a later record that came after them has replaced one', () => {
    const { vector, entries } = recoverLog({
      records: [stored('config/a', 4), grouped('config/c', 3)],
      unreadable: new Map(),
      isComplete: true,
    });
    expect(vector.toString()).toBe(seen(4).toString());
    expect(entries.map(({ isUndone }) => isUndone)).toEqual([false, false]);
  });

  test('do not count when one is missing: the copy of a log must not claim what its original has yet to store', () => {
    const log = recoverLog({ records: [alone, grouped('config/c', 3)], unreadable: new Map(), isComplete: true });
    expect(log.vector.toString()).toBe(seen(1).toString());
    const machine = start(log);
    expect(machine.view.get('config/c')?.versions).toEqual([]);
    const change = { key: 'config/d', value: Buffer.from('new'), when: 'differs' } as const;
    const [undo, ...early] = appended(machine.step([{ kind: 'write', id: 1, change }], now));
    expect([undo?.record.key, undo?.record.entry?.versions, undo?.expectedSequence, early]).toEqual([
      'config/c',
      [],
      3,
      [],
    ]);
  });

  test('stay where another record cannot be read: it may have been one of them', () => {
    const { entries } = recoverLog({
      records: [alone, grouped('config/c', 3)],
      unreadable: new Map(),
      isComplete: false,
    });
    expect(entries.map(({ entry, isUndone }) => [entry.versions.length, isUndone])).toEqual([
      [1, false],
      [1, false],
    ]);
  });
});

test('a record that cannot be read is replaced once; what follows is on top of that', () => {
  const machine = start(recoverLog({ ...left, unreadable: new Map([...left.unreadable, [META_KEY, 5]]) }));
  const write = (id: number, text: string) => {
    const change = { key: 'config/a', value: Buffer.from(text), when: 'differs' } as const;
    return appended(machine.step([{ kind: 'write', id, change }], now));
  };
  const [note] = write(1, 'one');
  const [first] = appended(machine.step([{ kind: 'appended', id: note?.id ?? 0, sequence: 6 }], now));
  machine.step([{ kind: 'appended', id: first?.id ?? 0, sequence: 7 }], now);
  const [second] = write(2, 'two');
  expect([note, first, second].map((append) => append?.expectedSequence)).toEqual([5, 1, 7]);
});
