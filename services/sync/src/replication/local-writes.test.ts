import { beforeEach, describe, expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import { seededRandom } from '@meridian/runtime';
import { type Append, type Delta, type Input, META_KEY, type Output, type StoredRecord } from './protocol.ts';
import { recoverLog } from './state-log.ts';
import { StateMachine } from './state-machine.ts';

const now = { wallMs: 1_000, monotonicMs: 0 };

let machine: StateMachine;
let sequence: number;
beforeEach(() => start([]));

function start(records: readonly StoredRecord[]): void {
  sequence = records.length;
  machine = new StateMachine(
    {
      ...{ region: 'beijing', members: ['shanghai'], random: seededRandom(1), hadLog: records.length > 0 },
      ...{ fetchIntervalMs: 10_000, headIntervalMs: 1_000, driftMaxMs: 500 },
    },
    recoverLog({ records, unreadable: new Map(), isComplete: true }),
    now,
  );
}

const write = (id: number, key: string, value: string, seen?: VersionVector): Input => ({
  ...{ kind: 'write', id },
  change: { key: `config/${key}`, value: Buffer.from(value), when: 'differs', ...(seen && { seen }) },
});
const step = (...inputs: Input[]) => machine.step(inputs, now);
const only = <K extends Output['kind']>(outputs: readonly Output[], kind: K) =>
  outputs.filter((output): output is Extract<Output, { kind: K }> => output.kind === kind);
const appendsOf = (outputs: readonly Output[]): readonly Append[] => only(outputs, 'append');
const keysOf = (delta: Delta | undefined) => delta?.entries.map(({ key }) => key.slice('config/'.length));

/** The log takes all of them. */
function stored(appends: readonly Append[]): Output[] {
  return appends.flatMap(({ id }) => step({ kind: 'appended', id, sequence: ++sequence }));
}

/** Of shanghai's first event. */
function deltaOf(key: string, lists = VersionVector.EMPTY): Input {
  const dot = { actor: actorId('shanghai', 1n), counter: 1 };
  const to = VersionVector.of([[dot.actor, dot.counter]]);
  const version = { dot, hlc: { wallMs: 999, logical: 0 }, value: Buffer.from('theirs'), deleted: false };
  const entries = [{ key: `config/${key}`, versions: [version], context: to }];
  return {
    kind: 'delta',
    origin: 'shanghai',
    delta: { generation: 0, entries, from: VersionVector.EMPTY, to, lists, forgotten: VersionVector.EMPTY },
  };
}

describe('writes of one turn', () => {
  test('to different keys go into the log together and leave as one delta', () => {
    const appends = appendsOf(step(write(1, 'a', '1'), write(2, 'b', '1'), write(3, 'c', '1')));
    expect(appends.map(({ write: id }) => id)).toEqual([1, 2, 3]);
    const outputs = stored(appends);
    expect(only(outputs, 'publish').map(({ delta }) => keysOf(delta))).toEqual([['a', 'b', 'c']]);
  });

  test('to a key again wait for the next group, in their order; each is stored, acknowledged and seen by readers', () => {
    const first = appendsOf(step(write(1, 'a', '1'), write(2, 'a', '2'), write(3, 'a', '3'), write(4, 'b', '1')));
    expect(first.map(({ write: id }) => id)).toEqual([1, 4]);
    const afterFirst = stored(first);
    expect(only(afterFirst, 'written').map(({ id }) => id)).toEqual([1, 4]);
    const second = appendsOf(afterFirst);
    expect(second.map(({ write: id }) => id)).toEqual([2]);
    const afterSecond = stored(second);
    const third = appendsOf(afterSecond);
    expect(third.map(({ write: id }) => id)).toEqual([3]);
    const afterThird = stored(third);
    expect(only(afterThird, 'written').map(({ id }) => id)).toEqual([3]);
    const all = [...afterFirst, ...afterSecond, ...afterThird];
    expect(only(all, 'changed').map(({ keys }) => keys.length)).toEqual([2, 1, 1]);
  });
});

describe('a delta', () => {
  test('holds two groups that follow each other, with the events of both, and no third one', () => {
    const first = appendsOf(step(write(1, 'a', '1'), write(2, 'a', '2'), write(3, 'a', '3'), write(4, 'b', '1')));
    const afterFirst = stored(first);
    expect(only(afterFirst, 'publish')).toEqual([]);
    const afterSecond = stored(appendsOf(afterFirst));
    const [held] = only(afterSecond, 'publish');
    expect(keysOf(held?.delta)).toEqual(['a', 'b']);
    expect(held?.writes).toEqual([1, 4, 2]);
    expect(Buffer.from(held?.delta.entries[0]?.versions[0]?.value ?? []).toString()).toBe('2');
    expect([held?.delta.from.size, [...(held?.delta.to.entries() ?? [])].map(([, n]) => n)]).toEqual([0, [3]]);
    const [last] = only(stored(appendsOf(afterSecond)), 'publish');
    expect(last?.writes).toEqual([3]);
    expect(last?.delta.from.toString()).toBe(held?.delta.to.toString()); // there is nobody else
  });

  test('leaves before what a peer sent moves the clock', () => {
    const first = appendsOf(step(write(1, 'a', '1'), deltaOf('z'), write(2, 'b', '1')));
    const outputs = stored(first);
    const [delta] = only(outputs, 'publish');
    expect(keysOf(delta?.delta)).toEqual(['a']);
    expect(delta?.delta.to.counterOf(actorId('shanghai', 1n))).toBe(0);
    expect(appendsOf(outputs).map(({ record }) => record.key)).toEqual(['config/z']);
  });

  test('does not wait for a write that changes nothing', () => {
    const first = appendsOf(step(write(1, 'a', '1'), write(2, 'a', '1')));
    const outputs = stored(first);
    expect(only(outputs, 'publish').map(({ writes }) => writes)).toEqual([[1]]);
    expect(only(outputs, 'written').map(({ id, written }) => [id, written.changed])).toEqual([
      [1, true],
      [2, false],
    ]);
  });

  test('does not hold more than a group may', () => {
    const large = 'x'.repeat(90 * 1024);
    const writes = ['a', 'b', 'a', 'b'].map((key, i) => write(i + 1, key, `${large}${i}`));
    const outputs = stored(appendsOf(step(...writes)));
    expect(only(outputs, 'publish').map(({ delta }) => keysOf(delta))).toEqual([['a', 'b']]);
  });
});

test('a delta names the deletions that are forgotten here and that one of its writes had not seen', () => {
  const actor = actorId('shanghai', 7n);
  const [before, collected] = [VersionVector.of([[actor, 3]]), VersionVector.of([[actor, 5]])];
  const meta = { collected, generation: 0, distrustedUntil: 0 };
  const common = { clock: collected, lineage: { actor: undefined, counter: 0 }, last: { wallMs: 0, logical: 0 } };
  start([{ record: { key: META_KEY, meta, ...common }, sequence: 1 }]);
  const forgottenIn = (...inputs: Input[]) => {
    const [push] = only(stored(appendsOf(step(...inputs))), 'publish');
    return push?.delta.forgotten.toString();
  };
  expect(forgottenIn(write(1, 'a', '1'), write(2, 'b', '1', collected))).toBe('');
  expect(forgottenIn(write(3, 'a', '2'), write(4, 'b', '2', before))).toBe(collected.toString());
});

test('a delta whose contexts leave out lives by a list that is not here is fetched instead', () => {
  const lists = VersionVector.of([[actorId('beijing', 7n), 1]]);
  const outputs = step(deltaOf('z', lists));
  expect(only(outputs, 'event')).toContainEqual({ kind: 'event', event: 'gap', peer: 'shanghai' });
  expect(appendsOf(outputs)).toEqual([]);
  expect(appendsOf(step(deltaOf('z')))).toHaveLength(1);
});
