import { describe, expect, test } from '@jest/globals';
import { seededRandom } from '@meridian/runtime';
import { bound } from './bound.ts';
import { compare } from './compare.ts';
import { Events } from './events.ts';
import { PEERS, POLICIES, priced } from './policies.ts';
import { roundTrips, SCENARIO_NAMES, scenario } from './scenario.ts';
import { simulate } from './simulate.ts';
import { drawWorkload } from './workload.ts';
import { SIX } from './world-regions.ts';

test('events come by time, each with what was added for it', () => {
  const random = seededRandom(3);
  const events = new Events();
  const times = Array.from({ length: 5_000 }, () => random.next());
  for (const [item, timeMs] of times.entries()) events.add(timeMs, item % 5, item % 256, item);
  for (const expected of times.toSorted((a, b) => a - b)) {
    expect(events.nextMs).toBe(expected);
    expect(events.take()).toBe(expected);
    expect(times[events.item]).toBe(expected);
    expect([events.kind, events.place]).toEqual([events.item % 5, events.item % 256]);
  }
  expect(events.nextMs).toBe(Number.POSITIVE_INFINITY);
});

test('round trips are those of fibre along great circles', () => {
  const trips = roundTrips(SIX);
  expect(trips(0, 0)).toBe(2);
  expect(trips(0, 1)).toBeGreaterThan(45);
  expect(trips(0, 1)).toBeLessThan(60);
  expect(trips(1, 0)).toBeCloseTo(trips(0, 1), 9);
});

test('arrivals and service times are those of the scenario', () => {
  const calm = scenario('calm');
  const { startMs, serviceMs, origin } = drawWorkload(calm, 5);
  const mean = serviceMs.reduce((a, b) => a + b, 0) / serviceMs.length;
  const variance = serviceMs.reduce((sum, each) => sum + (each - mean) ** 2, 0) / serviceMs.length;
  expect(Math.abs(mean / 30 - 1)).toBeLessThan(0.01);
  expect(Math.abs(Math.sqrt(variance) / mean / 0.8 - 1)).toBeLessThan(0.03);
  expect(Math.abs(startMs.length / ((0.55 * 104 * 300) / 0.03) - 1)).toBeLessThan(0.01);
  for (const [i, { weight }] of SIX.entries()) {
    const share = origin.filter((each) => each === i).length / origin.length;
    expect(Math.abs(share / (weight / 6.5) - 1)).toBeLessThan(0.02);
  }
});

const short = (name: (typeof SCENARIO_NAMES)[number], regions = SIX) => ({
  ...scenario(name, regions),
  durationMs: 3_000,
});

describe('a simulated world', () => {
  test('is the same for the same seed, and another for another', () => {
    const means = [1, 1, 2].map((seed) => simulate(short('calm'), priced, seed).meanMs);
    expect(means[0]).toBe(means[1]);
    expect(means[0]).not.toBe(means[2]);
  });

  test.each(SCENARIO_NAMES)('%s: every policy answers every task, none sooner than way and work take', (name) => {
    const strange = short(name);
    const workload = drawWorkload(strange, 4);
    const least = workload.serviceMs.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY) + 2;
    for (const policy of POLICIES) {
      const { latenciesMs, ran } = simulate(strange, policy, 4, workload);
      expect(ran.reduce((a, b) => a + b, 0)).toBe(workload.startMs.length);
      expect(latenciesMs.every((each) => each >= least - 1e-6)).toBe(true);
    }
  });

  test('with time for one queue only it is that queue: the pooled wait of the bound is what one region gives', () => {
    const one = { ...scenario('hot', SIX.slice(0, 1)), durationMs: 20_000 };
    const workload = drawWorkload(one, 9);
    const sample = workload.serviceMs.reduce((a, b) => a + b, 0) / workload.serviceMs.length;
    const { meanMs } = simulate(one, priced, 9, workload);
    expect(meanMs).toBeCloseTo(sample + bound(one, workload).pooledWaitMs + 2, 6);
  });

  test('in an outage nothing new is done there, and all is answered', () => {
    const outage = { ...scenario('outage'), durationMs: 150_000, demand: () => 100, demandMax: () => 100 };
    const { ran } = simulate(outage, priced, 3);
    const calm = simulate({ ...outage, workers: (j: number) => SIX[j]?.workers ?? 0 }, priced, 3);
    expect((ran[1] ?? 0) / (calm.ran[1] ?? 1)).toBeLessThan(0.85);
    expect(ran.reduce((a, b) => a + b, 0)).toBe(calm.ran.reduce((a, b) => a + b, 0));
  });
});

/** The whole proof is `make bench ONLY=placement`; this one is short, with one seed that nothing was tuned on. */
describe('the placement that runs in production', () => {
  const day = { ...scenario('sun'), durationMs: 20_000 };
  const { results } = compare(day, [priced, ...PEERS], 101);
  const overBound = (name: string) => results.find(({ policy }) => policy === name)?.overBound ?? Number.NaN;

  test('is near the bound', () => {
    expect(overBound('meridian')).toBeGreaterThan(1);
    expect(overBound('meridian')).toBeLessThan(1.2);
  });

  test.each(PEERS.map(({ name }) => name))('is not worse than %s', (name) => {
    expect(overBound('meridian')).toBeLessThanOrEqual(1.01 * overBound(name));
  });
});
