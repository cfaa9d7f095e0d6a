import { expect, test } from '@jest/globals';
import { VirtualClock } from '@meridian/runtime';
import type { Outcome } from '../claims/held-claim.ts';
import { PacedSlots } from './paced-slots.ts';

const MODEL = { name: 'm', digest: 'd', timeoutMs: 1_000 };
const GOOD: Outcome = { kind: 'recognition', recognition: new Uint8Array(), decodeMs: 2, inferenceMs: 5 };

function paced(clock: VirtualClock, tookMs: number, places = 2) {
  const run = async () => {
    await clock.sleep(tookMs);
    return GOOD;
  };
  return new PacedSlots({ slots: { free: 8, run, onFree: () => undefined }, clock, places, paceMs: 50 });
}

test('a picture keeps its place for the pace, and its result says so', async () => {
  const clock = new VirtualClock();
  const slots = paced(clock, 7);
  let freed = 0;
  slots.onFree(() => freed++);
  const outcomes: Outcome[] = [];
  for (let i = 0; i < 2; i++) void slots.run(MODEL, new Uint8Array()).then((outcome) => outcomes.push(outcome));
  expect(slots.free).toBe(0);
  await clock.advanceAsync(7);
  await clock.advanceAsync(42);
  expect([slots.free, outcomes.length]).toEqual([0, 0]);
  await clock.advanceAsync(1);
  expect([slots.free, freed]).toEqual([2, 2]);
  expect(outcomes).toEqual([
    { ...GOOD, inferenceMs: 48 },
    { ...GOOD, inferenceMs: 48 },
  ]);
});

test('what takes longer than the pace is not held', async () => {
  const clock = new VirtualClock();
  const outcome = paced(clock, 60).run(MODEL, new Uint8Array());
  await clock.advanceAsync(60);
  expect(await outcome).toEqual(GOOD);
});
