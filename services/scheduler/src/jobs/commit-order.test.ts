import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { CommitOrder, type Committed } from './commit-order.ts';

/** A stream that gives sequences at times of its choosing, and acknowledges in any order. */
function run(steps: readonly number[], count: number): { shown: Committed[]; order: CommitOrder } {
  const order = new CommitOrder();
  const begun: { write: number; index: number }[] = [];
  const stored: { write: number; index: number; sequence: number }[] = [];
  const shown: Committed[] = [];
  let next = 0;
  let sequence = 0;
  const step = (n: number): void => {
    const kind = n % 3;
    if (kind === 0 && next < count) begun.push({ write: order.begin(), index: next++ });
    else if (kind === 1 && begun.length > 0) {
      const [write] = begun.splice(n % begun.length, 1);
      if (write) stored.push({ ...write, sequence: ++sequence });
    } else if (stored.length > 0) {
      const [ack] = stored.splice(n % stored.length, 1);
      if (ack) shown.push(...order.end(ack.write, { sequence: ack.sequence, index: ack.index }));
    }
  };
  for (const n of steps) step(n);
  for (let n = 0; shown.length < count && n < 10_000; n++) step(n);
  return { shown, order };
}

describe('CommitOrder', () => {
  test('whatever the order of acknowledgements: rising sequences, each index once, no holes', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1000), { maxLength: 200 }), fc.integer({ min: 1, max: 30 }), (steps, count) => {
        const { shown, order } = run(steps, count);
        expect(shown.map(({ sequence }) => sequence)).toEqual(Array.from({ length: count }, (_, i) => i + 1));
        expect(new Set(shown.map(({ index }) => index)).size).toBe(count);
        expect(order.idle).toBe(true);
      }),
    );
  });

  test('a result waits for an earlier write that may have a lower sequence, not for later ones', () => {
    const order = new CommitOrder();
    const [first, second] = [order.begin(), order.begin()];
    expect(order.end(second, { sequence: 2, index: 1 })).toEqual([]);
    order.begin();
    expect(order.end(first, { sequence: 1, index: 0 }).map(({ sequence }) => sequence)).toEqual([1, 2]);
  });
});
