import { describe, expect, test } from '@jest/globals';
import { PRIORITY_CLASSES, type PriorityClassName } from '@meridian/contracts';
import fc from 'fast-check';
import { CreditBook, HIGH_RESERVE, prefetchTarget } from './credit.ts';

const TARGET = 12;

function book(models = 1): CreditBook {
  const credit = new CreditBook({ target: TARGET, batchMax: 8 });
  for (let m = 0; m < models; m += 1)
    for (const priority of PRIORITY_CLASSES) credit.addLane(`${priority}_${m}`, priority);
  return credit;
}

/** A broker that fills every pull at once, as long as the lane has claims. */
function fill(credit: CreditBook, waiting: Record<string, number>): string[] {
  const delivered: string[] = [];
  for (let round = 0; round < 20; round += 1) {
    const plans = credit.plan();
    for (const { laneId, batch } of plans) {
      const n = Math.min(batch, waiting[laneId] ?? 0);
      waiting[laneId] = (waiting[laneId] ?? 0) - n;
      for (let i = 0; i < n; i += 1) {
        credit.delivered(laneId);
        delivered.push(laneId);
      }
      if (n === batch) credit.closed(laneId);
    }
  }
  return delivered;
}

describe('CreditBook', () => {
  test('an idle worker keeps one small pull open on every lane', () => {
    expect(
      book(2)
        .plan()
        .map((plan) => plan.batch),
    ).toEqual([1, 1, 1, 1, 1, 1]);
    const credit = book();
    credit.plan();
    expect(credit.plan()).toEqual([]);
  });

  test('a busy lane gets larger pulls, bounded by the target', () => {
    const credit = book();
    expect(fill(credit, { normal_0: 1000 }).length).toBe(TARGET + 1);
  });

  test('invariant 1: a full worker still asks for the first claim of an empty class', () => {
    const credit = book();
    const waiting: Record<string, number> = { low_0: 1000 };
    fill(credit, waiting);
    waiting.high_0 = 20;
    // The waiting pull of the high lane delivers although the low lane holds all shared credit.
    credit.delivered('high_0');
    credit.closed('high_0');
    for (let i = 0; i < 8; i += 1) credit.released('low_0');
    const batches = Object.fromEntries(credit.plan().map((plan) => [plan.laneId, plan.batch]));
    expect(batches.high_0).toBeGreaterThanOrEqual(2);
  });

  test('freed credit goes to the high class at once and to the others in portions', () => {
    const credit = book();
    fill(credit, { low_0: 1000, normal_0: 1000 });
    credit.released('low_0');
    expect(credit.plan()).toEqual([]);
    credit.delivered('high_0');
    credit.closed('high_0');
    expect(credit.plan()).toEqual([{ laneId: 'high_0', batch: 2 }]);
  });

  test('claims of other classes that are held keep no burst of high ones out', () => {
    const credit = book();
    const waiting: Record<string, number> = { low_0: 1000 };
    fill(credit, waiting);
    waiting.high_0 = 20;
    credit.delivered('high_0');
    credit.closed('high_0');
    expect(fill(credit, waiting).filter((lane) => lane === 'high_0').length).toBe(HIGH_RESERVE);
  });

  test('a lane whose pulls stay empty asks for less', () => {
    const credit = book();
    fill(credit, { normal_0: 40 });
    for (let i = 0; i < TARGET + 1; i += 1) credit.released('normal_0');
    for (let i = 0; i < 4; i += 1) {
      credit.plan();
      credit.closed('normal_0');
    }
    expect(credit.plan()).toEqual([{ laneId: 'normal_0', batch: 1 }]);
  });

  test('a paused lane is not asked', () => {
    const credit = book();
    credit.pause('high_0', true);
    expect(credit.plan().map((plan) => plan.laneId)).toEqual(['normal_0', 'low_0']);
  });

  test('invariants 2 and 4 hold over any history; every lane with claims makes progress', () => {
    const action = fc.oneof(
      fc.record({ kind: fc.constant('plan' as const) }),
      fc.record({ kind: fc.constant('deliver' as const), lane: fc.nat(8) }),
      fc.record({ kind: fc.constant('expire' as const), lane: fc.nat(8) }),
      fc.record({ kind: fc.constant('release' as const), lane: fc.nat(8) }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 300 }), (actions) => {
        const credit = book(3);
        const ids = [0, 1, 2].flatMap((m) => PRIORITY_CLASSES.map((c: PriorityClassName) => `${c}_${m}`));
        const open = new Map<string, number>();
        const held = new Map<string, number>();
        for (const step of actions) {
          if (step.kind === 'plan') {
            for (const plan of credit.plan()) {
              expect(open.get(plan.laneId) ?? 0).toBe(0);
              expect(plan.batch).toBeLessThanOrEqual(8);
              open.set(plan.laneId, plan.batch);
            }
          } else {
            const id = ids[step.lane] as string;
            const o = open.get(id) ?? 0;
            const h = held.get(id) ?? 0;
            if (step.kind === 'deliver' && o > 0) {
              credit.delivered(id);
              open.set(id, o - 1);
              held.set(id, h + 1);
              if (o === 1) credit.closed(id);
            } else if (step.kind === 'expire' && o > 0) {
              credit.closed(id);
              open.set(id, 0);
            } else if (step.kind === 'release' && h > 0) {
              credit.released(id);
              held.set(id, h - 1);
            }
          }
          let shared = 0;
          for (const id of ids) shared += Math.max(0, (open.get(id) ?? 0) + (held.get(id) ?? 0) - 1);
          expect(shared).toBeLessThanOrEqual(TARGET + HIGH_RESERVE);
        }
        // Progress: once everything held is released and open pulls have ended, every lane is asked again.
        for (const id of ids) {
          for (let i = held.get(id) ?? 0; i > 0; i -= 1) credit.released(id);
          if ((open.get(id) ?? 0) > 0) credit.closed(id);
        }
        expect(credit.held).toBe(0);
        expect(credit.plan().length).toBe(ids.length);
      }),
      { numRuns: 200 },
    );
  });
});

describe('prefetchTarget', () => {
  test('covers the bytes that travel, between what the slots hold and the maximum', () => {
    const base = { slots: 1, inFlightPerSlot: 3, serviceMs: 30, max: 24 };
    expect(prefetchTarget({ ...base, fetchMs: 1 })).toBe(8);
    expect(prefetchTarget({ ...base, fetchMs: 150 })).toBe(15);
    expect(prefetchTarget({ ...base, fetchMs: 60_000 })).toBe(24);
    expect(prefetchTarget({ ...base, fetchMs: 1, max: 2 })).toBe(2);
  });
});
