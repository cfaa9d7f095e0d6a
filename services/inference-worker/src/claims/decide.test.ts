import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type ClaimEvent, DEADLINE_EXCEEDED, decide, type Effect } from './decide.ts';
import { type ClaimState, type Outcome, pulled, WAITING } from './held-claim.ts';

const PICTURE = new Uint8Array([1, 2, 3]);
const RECOGNITION: Outcome = { kind: 'recognition', recognition: new Uint8Array(2), decodeMs: 4, inferenceMs: 20 };
const FAILURE = { code: 'UNAVAILABLE', reason: 'STATE_MISSING', message: 'x', retryable: true };

/** Feeds events to a fresh claim. */
function play(
  events: readonly ClaimEvent[],
  start: ClaimState = pulled(false),
): { state: ClaimState; effects: Effect[] } {
  let state = start;
  const effects: Effect[] = [];
  for (const event of events) {
    const decision = decide(state, event);
    state = decision.state;
    effects.push(...decision.effects);
  }
  return { state, effects };
}

const kinds = (effects: readonly Effect[]) => effects.map((effect) => effect.kind);
const UNTIL_RUNNING: readonly ClaimEvent[] = [
  { kind: 'room', nowMs: 0 },
  { kind: 'picture', picture: PICTURE, nowMs: 10 },
  { kind: 'slot', nowMs: 12 },
];

describe('decide', () => {
  test('announce, bytes, run, report, acknowledge', () => {
    const { state, effects } = play([
      ...UNTIL_RUNNING,
      { kind: 'finished', outcome: RECOGNITION, nowMs: 50 },
      { kind: 'acknowledged' },
    ]);
    expect(kinds(effects)).toEqual(['announce', 'run', 'report', 'acknowledge']);
    expect(state.phase.name).toBe('done');
  });

  test('what was waited is what neither decode nor inference took', () => {
    const { state } = play([...UNTIL_RUNNING, { kind: 'finished', outcome: RECOGNITION, nowMs: 50 }]);
    expect(state.phase).toMatchObject({ name: 'reported', waitMs: 16, fetchMs: 10, bytesAtMs: 10 });
  });

  test('what waits is held, asks for no bytes, and is announced once it is prepared', () => {
    const waits = [
      { kind: 'room', nowMs: 0 },
      { kind: 'owner-lost' },
      { kind: 'owner-back' },
      UNTIL_RUNNING[1],
    ] as const;
    const held = play(waits as readonly ClaimEvent[], WAITING);
    expect(held.state).toBe(WAITING);
    expect(kinds(held.effects)).toEqual(['hold']);
    const { state, effects } = play([{ kind: 'prepared', stranded: false }, ...UNTIL_RUNNING], WAITING);
    expect(kinds(effects)).toEqual(['announce', 'run']);
    expect(state.phase.name).toBe('running');
    expect(play([{ kind: 'prepared', stranded: true }], WAITING).state).toEqual(pulled(true));
    expect(kinds(play([{ kind: 'unpreparable', failure: FAILURE, nowMs: 3 }], WAITING).effects)).toEqual(['report']);
  });

  test('a lost stream takes an announced claim back to pulled, and it is announced again', () => {
    const { state, effects } = play([
      { kind: 'room', nowMs: 0 },
      { kind: 'owner-lost' },
      { kind: 'owner-back' },
      { kind: 'room', nowMs: 900 },
    ]);
    expect(kinds(effects)).toEqual(['announce', 'announce']);
    expect(state.phase).toEqual({ name: 'announced', atMs: 900 });
  });

  test('a lost stream stops neither a run nor the keeping of its result, which is sent again', () => {
    const { effects } = play([
      ...UNTIL_RUNNING,
      { kind: 'owner-lost' },
      { kind: 'finished', outcome: RECOGNITION, nowMs: 50 },
      { kind: 'owner-back' },
      { kind: 'acknowledged' },
    ]);
    expect(kinds(effects)).toEqual(['announce', 'run', 'report', 'report', 'acknowledge']);
  });

  test('invariant 3: a refused claim is terminated, the outcome of its run dropped', () => {
    const { effects } = play([
      ...UNTIL_RUNNING,
      { kind: 'refused', reason: 'stale-fence' },
      { kind: 'finished', outcome: RECOGNITION, nowMs: 50 },
    ]);
    expect(effects.slice(2)).toEqual([{ kind: 'terminate', reason: 'stale-fence' }]);
  });

  test('a deadline that passes before the run is reported; one that passes during it is not looked at', () => {
    const early = play([
      { kind: 'room', nowMs: 0 },
      { kind: 'deadline', nowMs: 5 },
    ]);
    expect(early.state.phase).toMatchObject({
      name: 'reported',
      outcome: { kind: 'failure', failure: DEADLINE_EXCEEDED },
    });
    expect(play([...UNTIL_RUNNING, { kind: 'deadline', nowMs: 15 }]).state.phase.name).toBe('running');
  });

  test('draining gives back what has not begun', () => {
    expect(kinds(play([{ kind: 'room', nowMs: 0 }, { kind: 'drain' }]).effects)).toEqual(['announce', 'giveBack']);
    expect(kinds(play([...UNTIL_RUNNING, { kind: 'drain' }]).effects)).toEqual(['announce', 'run']);
  });

  test('invariants 1 to 5 over any history', () => {
    const event: fc.Arbitrary<ClaimEvent> = fc.constantFrom<ClaimEvent>(
      { kind: 'room', nowMs: 1 },
      { kind: 'picture', picture: PICTURE, nowMs: 2 },
      { kind: 'prepared', stranded: false },
      { kind: 'unpreparable', failure: FAILURE, nowMs: 3 },
      { kind: 'slot', nowMs: 4 },
      { kind: 'finished', outcome: RECOGNITION, nowMs: 30 },
      { kind: 'refused', reason: 'stale-fence' },
      { kind: 'cancelled' },
      { kind: 'acknowledged' },
      { kind: 'owner-lost' },
      { kind: 'owner-back' },
      { kind: 'given-up', reason: 'owner-unreachable' },
      { kind: 'deadline', nowMs: 5 },
      { kind: 'drain' },
    );
    fc.assert(
      fc.property(
        fc.constantFrom(pulled(false), pulled(true), WAITING),
        fc.array(event, { maxLength: 60 }),
        (start, events) => {
          let state = start;
          let prepared = start !== WAITING;
          let endings = 0;
          let runs = 0;
          let acknowledgedByOwner = false;
          let voided = false;
          for (const next of events) {
            const before = state;
            const decision = decide(state, next);
            state = decision.state;
            acknowledgedByOwner ||= next.kind === 'acknowledged';
            prepared ||= next.kind === 'prepared';
            for (const effect of decision.effects) {
              if (effect.kind === 'report') expect(voided).toBe(false);
              if (effect.kind === 'run') {
                runs += 1;
                expect(before.phase.name).toBe('queued');
              }
              if (effect.kind === 'announce' || effect.kind === 'run') expect(prepared).toBe(true);
              if (effect.kind === 'acknowledge') expect(acknowledgedByOwner).toBe(true);
              if (['acknowledge', 'terminate', 'giveBack'].includes(effect.kind)) endings += 1;
            }
            voided ||= next.kind === 'refused' || next.kind === 'cancelled';
            if (before.phase.name === 'done') expect(decision.effects).toEqual([]);
            if (before.phase.name === 'reported' && state.phase.name !== 'done')
              expect(state.phase).toEqual(before.phase);
          }
          expect(endings).toBe(state.phase.name === 'done' ? 1 : 0);
          expect(runs).toBeLessThanOrEqual(1);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
