import { describe, expect, test } from '@jest/globals';
import { decide } from './decide.ts';
import { fenceOf } from './fence.ts';
import { aTask, aWork, failed, GOOD, TIMES } from './task.builders.ts';
import type { Outcome, Task } from './task.ts';
import { type Decision, TASK_LIMITS, type TaskInput } from './transition.ts';

const FENCE = fenceOf(1, 1);
const step = (task: Task, input: TaskInput, nowMs = 10): Decision => decide(task, input, nowMs, TASK_LIMITS);
const kinds = (decision: Decision) => decision.effects.map((effect) => effect.kind);

function placed(task = aTask(aWork()), region = 'shanghai'): Task {
  const fence = fenceOf(1, task.placements + 1);
  return step(step(task, { kind: 'place', region, fence }).task, { kind: 'claim-stored', fence }).task;
}

function announced(task = placed()): Task {
  const fence = fenceOf(1, task.placements);
  return step(task, { kind: 'announced', fence, stream: 's1', worker: 'w1' }).task;
}

function resultOf(fence: number, outcome: Outcome, stream = 's1'): TaskInput {
  const origin = { stream, region: 'shanghai', worker: 'w1' };
  return { kind: 'result', fence, ...origin, outcome, times: TIMES, roundTripMs: 50 };
}

describe('a task', () => {
  test('is placed, announced, stored, and acknowledged only when stored', () => {
    const result = step(announced(), resultOf(FENCE, GOOD), 200);
    expect(kinds(result)).toEqual(['attempt-ended', 'store']);
    const stored = step(result.task, { kind: 'stored' }, 210);
    expect(kinds(stored)).toEqual(['ended', 'acknowledge']);
    expect(stored.task.state).toMatchObject({ kind: 'ended', ending: { how: 'committed', region: 'shanghai' } });
  });

  test('of a call ends at once', () => {
    const task = announced(placed(aTask(aWork({ jobId: '' }))));
    expect(kinds(step(task, resultOf(FENCE, GOOD)))).toEqual(['attempt-ended', 'ended', 'acknowledge']);
  });

  test('says where the milliseconds went, and they add up', () => {
    const { task } = step(announced(), resultOf(FENCE, GOOD), 200);
    if (task.state.kind !== 'storing') throw new Error('not storing');
    const { totalMs, ...parts } = task.state.ending.times;
    expect(parts).toEqual({ queueMs: 11, transferMs: 133, decodeMs: 5, inferenceMs: 25, returnMs: 26 });
    expect(Object.values(parts).reduce((sum, ms) => sum + ms)).toBe(totalMs);
  });

  test('may be announced before its PubAck is here', () => {
    const placing = step(aTask(aWork()), { kind: 'place', region: 'beijing', fence: FENCE }).task;
    const held = step(placing, { kind: 'announced', fence: FENCE, stream: 's1', worker: 'w1' });
    expect(kinds(held)).toEqual(['send-picture']);
    expect(step(held.task, { kind: 'claim-stored', fence: FENCE }).task.state.kind).toBe('announced');
  });

  test('that is hedged ends by whichever attempt is first; the other is called off', () => {
    const call = aTask(aWork({ jobId: '' }));
    const late = step(announced(placed(call)), { kind: 'attempt-lost', fence: FENCE, end: 'hedged' });
    expect(kinds(late)).toEqual(['attempt-ended', 'enqueue']);
    const second = fenceOf(1, 2);
    const both = step(placed(late.task, 'beijing'), {
      kind: 'announced',
      fence: second,
      stream: 's2',
      worker: 'w2',
    }).task;
    const byFirst = step(both, resultOf(FENCE, GOOD));
    expect(byFirst.effects.filter(({ kind }) => kind === 'cancel-on-worker')).toEqual([
      { kind: 'cancel-on-worker', stream: 's2' },
    ]);
    expect(byFirst.task.state).toMatchObject({ kind: 'ended', ending: { fence: FENCE } });
    const bySecond = step(both, resultOf(second, GOOD, 's2'));
    expect(kinds(bySecond)).toEqual(['attempt-ended', 'cancel-on-worker', 'ended', 'acknowledge']);
    expect(bySecond.effects[1]).toEqual({ kind: 'cancel-on-worker', stream: 's1' });
    expect(kinds(step(bySecond.task, resultOf(FENCE, GOOD)))).toEqual(['acknowledge', 'drop']);
    // It failed: that is the second one's to make good.
    expect(kinds(step(both, resultOf(FENCE, failed(true))))).toEqual(['acknowledge', 'drop']);
    // It was not pulled before: now it must not run any more.
    const unpulled = step(placed(call), { kind: 'attempt-lost', fence: FENCE, end: 'hedged' }).task;
    const announce = step(unpulled, { kind: 'announced', fence: FENCE, stream: 's1', worker: 'w1' });
    expect(announce.effects).toMatchObject([{ kind: 'refuse', reason: 'stale-fence' }]);
  });

  test('refuses stale fences, other streams, and everything once it is over', () => {
    const again = placed(step(placed(), { kind: 'attempt-lost', fence: FENCE, end: 'no-ack' }).task);
    const announce = (task: Task, fence: number, stream = 's1') =>
      step(task, { kind: 'announced', fence, stream, worker: 'w' }).effects;
    const refused = (reason: string) => [expect.objectContaining({ kind: 'refuse', reason })];
    expect(announce(again, FENCE)).toEqual(refused('stale-fence'));
    expect(announce(announced(), FENCE, 's2')).toEqual(refused('stale-fence'));
    expect(announce(step(announced(), resultOf(FENCE, GOOD)).task, FENCE)).toEqual(refused('finished'));
    expect(announce(step(placed(), { kind: 'cancel' }).task, FENCE)).toEqual(refused('cancelled'));
    const expired = step(step(placed(), { kind: 'expire' }).task, { kind: 'stored' }).task;
    expect(announce(expired, FENCE)).toEqual(refused('expired'));
  });

  test('is announced again with the same fence on the same stream: the picture is sent again', () => {
    const again = step(announced(), { kind: 'announced', fence: FENCE, stream: 's1', worker: 'w1' });
    expect(kinds(again)).toEqual(['send-picture']);
  });

  test('is held by a worker that waits for records: no bytes until it is announced for good', () => {
    const hello = { kind: 'announced', fence: FENCE, stream: 's1', worker: 'w1' } as const;
    const held = step(placed(), { ...hello, waits: true });
    expect(kinds(held)).toEqual([]);
    expect(held.task.state).toMatchObject({ kind: 'announced', attempt: { stream: 's1' } });
    expect(kinds(step(held.task, { ...hello, waits: false }))).toEqual(['send-picture']);
  });

  test('whose region lacks the records is placed elsewhere, as often as it takes', () => {
    let task = announced();
    for (let i = 1; i <= 3 * TASK_LIMITS.failuresMax; i++) {
      const failure = { code: 'UNAVAILABLE', reason: 'STATE_MISSING', message: 'model/a', retryable: true } as const;
      const again = step(task, resultOf(fenceOf(1, i), { kind: 'failure', failure }));
      expect(again.task.state).toMatchObject({ kind: 'ready', excludedRegion: 'shanghai' });
      task = announced(placed(again.task));
    }
    expect(task).toMatchObject({ failures: 0, placements: 1 + 3 * TASK_LIMITS.failuresMax });
  });

  test('never starts after its deadline', () => {
    const late = decide(placed(), { kind: 'announced', fence: FENCE, stream: 's', worker: 'w' }, 2e6, TASK_LIMITS);
    expect(kinds(late)).toEqual(['attempt-ended', 'store', 'refuse']);
    expect(kinds(decide(aTask(aWork()), { kind: 'place', region: 'r', fence: FENCE }, 2e6, TASK_LIMITS))).toEqual([
      'store',
    ]);
  });

  test('goes elsewhere at once when its worker is lost, with the time of the fault', () => {
    const lost = step(announced(), { kind: 'attempt-lost', fence: FENCE, end: 'worker-lost' }, 99);
    expect(lost.effects).toEqual([
      expect.objectContaining({
        kind: 'attempt-ended',
        attempt: expect.objectContaining({ end: 'worker-lost', worker: 'w1' }),
      }),
      { kind: 'enqueue', delayMs: 0 },
    ]);
    expect(lost.task.state).toEqual({ kind: 'ready', faultMs: 99, after: 'worker-lost', excludedRegion: 'shanghai' });
  });

  test('takes a late good result of an older fence and calls the newer attempt off', () => {
    const second = announced(
      placed(step(announced(), { kind: 'attempt-lost', fence: FENCE, end: 'worker-lost' }).task),
    );
    const late = step(second, resultOf(FENCE, GOOD, 's9'));
    expect(kinds(late)).toEqual(['attempt-ended', 'cancel-on-worker', 'store']);
    const dropped = step(late.task, resultOf(fenceOf(1, 2), GOOD));
    expect(kinds(dropped)).toEqual(['drop']);
    expect(kinds(step(dropped.task, { kind: 'stored' }))).toEqual(['ended', 'acknowledge', 'acknowledge']);
  });

  test('ignores a retryable failure of an older fence', () => {
    const second = announced(
      placed(step(announced(), { kind: 'attempt-lost', fence: FENCE, end: 'worker-lost' }).task),
    );
    const stale = step(second, resultOf(FENCE, failed(true)));
    expect(kinds(stale)).toEqual(['acknowledge', 'drop']);
    expect(stale.task).toBe(second);
  });

  test.each([
    ['INTERNAL', TASK_LIMITS.crashesMax],
    ['UNAVAILABLE', TASK_LIMITS.failuresMax],
  ] as const)('is a dead letter after enough %s failures', (code, max) => {
    let task = aTask(aWork());
    for (let i = 1; i <= max; i++) {
      const held = announced(placed(task));
      const decision = step(held, resultOf(fenceOf(1, held.placements), failed(true, code)));
      task = decision.task;
      expect(kinds(decision)).toEqual(
        i < max ? ['acknowledge', 'attempt-ended', 'enqueue'] : ['attempt-ended', 'dead-letter', 'store'],
      );
    }
    expect(task.state).toMatchObject({ kind: 'storing', ending: { how: 'failed' } });
  });

  test('with a bad picture fails at once', () => {
    const bad = step(announced(), resultOf(FENCE, failed(false, 'INVALID_ARGUMENT')));
    expect(bad.task.state).toMatchObject({ kind: 'storing', ending: { how: 'failed', worker: 'w1' } });
  });

  test('survives any number of lost workers up to the cap, then ends visibly', () => {
    let task = aTask(aWork());
    for (let i = 1; i <= TASK_LIMITS.placementsMax; i++) {
      const fence = fenceOf(1, i);
      task = step(task, { kind: 'place', region: 'shanghai', fence }).task;
      task = step(task, { kind: 'attempt-lost', fence, end: 'region-down' }).task;
    }
    expect(task.state).toMatchObject({ kind: 'storing', ending: { how: 'failed' } });
    expect(task.attempts).toHaveLength(TASK_LIMITS.attemptsKeptMax);
  });
});
