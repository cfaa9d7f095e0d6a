import { expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import { seededRandom } from '@meridian/runtime';
import { META_KEY, type Output, type StoredRecord } from './protocol.ts';
import { recoverLog } from './state-log.ts';
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
const left = [stored('config/b', 2)];

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
  const log = recoverLog(left, false);
  expect(log.vector.toString()).toBe('');
  expect(log.entries[0]?.entry.context.toString()).toBe(seen(2).toString());
  expect(start(log).vector.toString()).toBe('');
});

test('that is noted before anything else is written, and holds when every record can be read again', () => {
  const machine = start(recoverLog(left, false));
  const change = { key: 'config/a', value: Buffer.from('again'), when: 'differs' } as const;
  const [note, ...early] = appended(machine.step([{ kind: 'write', id: 1, change }], now));
  expect([note?.record.key, note?.record.meta?.distrustedUntil, early]).toEqual([META_KEY, 2, []]);
  if (note === undefined) return;
  const [write] = appended(machine.step([{ kind: 'appended', id: note.id, sequence: 3 }], now));
  if (write === undefined) throw new Error('the write did not follow');
  const all = [...left, { record: note.record, sequence: 3 }, { record: write.record, sequence: 4 }];
  const { vector } = recoverLog(all, true);
  expect(vector.counterOf(actor)).toBe(0);
  expect(vector.size).toBe(1);
});
