import { beforeEach, expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import { seededRandom } from '@meridian/runtime';
import type { Append, Input, Output } from './protocol.ts';
import { recoverLog } from './state-log.ts';
import { StateMachine } from './state-machine.ts';

const actor = actorId('shanghai', 1n);
const seen = (counter: number) => (counter === 0 ? VersionVector.EMPTY : VersionVector.of([[actor, counter]]));

let machine: StateMachine;
let monotonicMs: number;
let sequence: number;
beforeEach(() => {
  [monotonicMs, sequence] = [0, 0];
  machine = new StateMachine(
    {
      ...{ region: 'beijing', members: ['shanghai'], random: seededRandom(1), hadLog: false },
      ...{ fetchIntervalMs: 10_000, headIntervalMs: 1_000, driftMaxMs: 500 },
    },
    recoverLog({ records: [], unreadable: new Map(), isComplete: true }),
    { wallMs: 1_000, monotonicMs },
  );
  answer(step({ kind: 'connected' }, { kind: 'tick' }));
  answer(step(head(0, 1))); // a peer that is heard for the first time is asked
});

function step(...inputs: Input[]): readonly Output[] {
  return machine.step(inputs, { wallMs: 1_000 + monotonicMs, monotonicMs });
}

/** Shanghai has nothing yet. */
function answer(outputs: readonly Output[]): void {
  for (const output of outputs) {
    if (output.kind !== 'fetch') continue;
    const flags = { collected: VersionVector.EMPTY, isWholeRange: false, isRefused: false, isRecovering: false };
    const page = { generation: 0, entries: [], vector: VersionVector.EMPTY, nextKey: '', heardActors: [], sentAtMs: 1 };
    step({ kind: 'fetched', peer: output.peer, request: output.request, answer: { ...page, ...flags } });
  }
}

/** Shanghai's event with this number. */
function delta(counter: number): Input {
  const version = {
    ...{ dot: { actor, counter }, hlc: { wallMs: 1_000, logical: counter }, deleted: false },
    value: Buffer.from(`v${counter}`),
  };
  const to = seen(counter);
  const entries = [{ key: `config/k${counter}`, versions: [version], context: to }];
  return {
    kind: 'delta',
    origin: 'shanghai',
    delta: {
      generation: 0,
      entries,
      from: seen(counter - 1),
      to,
      lists: VersionVector.EMPTY,
      forgotten: VersionVector.EMPTY,
    },
  };
}

function head(counter: number, number: number): Input {
  return {
    kind: 'head',
    origin: 'shanghai',
    head: {
      ...{ vector: seen(counter), life: '0000000000000001', actor, sequence: number, generation: 0, sentAtMs: 1_000 },
      ...{ digest: '', isRecovering: false, knownUntilMs: 0, rounds: 0, lastFetchAtMs: 0, conflicts: 0 },
    },
  };
}

const appendsOf = (outputs: readonly Output[]): readonly Append[] =>
  outputs.flatMap((output) => (output.kind === 'append' ? [output] : []));

/** Whether shanghai is asked, now or a second later: long after what a head allows its deltas. */
function isAsked(...inputs: Input[]): boolean {
  const now = step(...inputs);
  monotonicMs += 1_000;
  return [...now, ...step({ kind: 'tick' })].some(({ kind }) => kind === 'fetch');
}

test('what waits for the log is not asked for again, however long the log takes', () => {
  let appends = appendsOf(step(delta(1)));
  step(delta(2), delta(3));
  expect(isAsked(head(3, 2))).toBe(false);
  while (appends.length > 0)
    appends = appends.flatMap(({ id }) => appendsOf(step({ kind: 'appended', id, sequence: ++sequence })));
  expect(machine.vector.toString()).toBe(seen(3).toString());
  expect(isAsked(head(3, 3))).toBe(false);
});

test.each([
  ['beyond what waits', delta(2)],
  ['behind a gap in what waits', delta(3)],
])('what is %s is asked for', (_, waiting) => {
  step(delta(1));
  step(waiting);
  expect(isAsked(head(3, 2))).toBe(true);
});

test('a region has caught up with a peer when all that its heartbeat tells of is here, not with the heartbeat', () => {
  const caughtUp = () => machine.timesCaughtUpWith('shanghai');
  let before = caughtUp();
  step(head(0, 2));
  expect(caughtUp()).toBe(before + 1);
  before = caughtUp();
  step(head(1, 3), head(1, 4));
  expect(caughtUp()).toBe(before);
  for (const { id } of appendsOf(step(delta(1)))) step({ kind: 'appended', id, sequence: ++sequence });
  expect(caughtUp()).toBe(before + 2);
  expect(machine.timesCaughtUpWith('nowhere')).toBe(0);
});

test('a deletion that a peer shows to be forgotten is remembered as such: who has not seen it gets whole ranges', () => {
  const version = (counter: number, deleted: boolean) => ({
    ...{ dot: { actor, counter }, hlc: { wallMs: 1_000, logical: counter }, deleted },
    value: Buffer.from(deleted ? '' : 'v'),
  });
  const push = (counter: number, versions: ReturnType<typeof version>[], forgotten = VersionVector.EMPTY) => {
    const [from, to] = [seen(counter - 1), seen(counter)];
    const entries = [{ key: 'config/k', versions, context: to }];
    const delta = { generation: 0, entries, from, to, lists: VersionVector.EMPTY, forgotten };
    let appends = appendsOf(step({ kind: 'delta', origin: 'shanghai', delta }));
    while (appends.length > 0)
      appends = appends.flatMap(({ id }) => appendsOf(step({ kind: 'appended', id, sequence: ++sequence })));
  };
  push(1, [version(1, false)]);
  push(2, [version(1, false), version(2, true)]);
  push(3, [version(1, false), version(2, true), version(3, false)]);
  expect(machine.collected.toString()).toBe('');
  push(4, [version(1, false), version(3, false)]);
  expect(machine.collected.toString()).toBe(seen(2).toString());
  push(5, [version(5, true)]);
  push(6, [version(6, false)]); // written after it
  expect(machine.collected.toString()).toBe(seen(2).toString());
  push(7, [version(7, true)]);
  push(8, [version(8, false)], seen(7)); // later, and not known to be written after it
  expect(machine.collected.toString()).toBe(seen(7).toString());
});
