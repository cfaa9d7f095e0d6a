import { describe, expect, test } from '@jest/globals';
import { costOf, leastCostOf } from './plan-program.fixture.ts';
import { CLASSES, type PlanProblem, type PlanSource } from './problem.ts';
import { type Kind, randomProblem } from './random-problem.fixture.ts';
import { type Plan, solvePlan } from './solve-plan.ts';

/**
 * Goal: the plan is the optimum of the written model. Method: random problems with residency masks, idle regions and too much
 * demand, against the same model as a linear program, written down again from its definition. `make bench ONLY=placement`
 * has a thousand of them, up to 60 regions.
 */
const small = (payloads: Kind['payloads']): Kind => ({ regionsMin: 3, regionsMax: 14, payloads });
const seeds = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

function expectOptimal(problem: PlanProblem, plan: Plan, tolerance: number): void {
  const least = leastCostOf(problem);
  expect(Math.abs(costOf(problem, plan) - least)).toBeLessThanOrEqual(tolerance * Math.max(1, least));
}

/** Regions that the source may and can use. */
function usable({ regions, way }: PlanProblem, { origin, allowed }: PlanSource): ReadonlySet<string> {
  const open = regions.filter(
    ({ name, capacity }) => capacity > 0 && way(origin, name) !== undefined && (allowed?.has(name) ?? true),
  );
  return new Set(open.map(({ name }) => name));
}

const rank = ({ priority }: PlanSource) => CLASSES.indexOf(priority);

describe('solvePlan', () => {
  test.each([
    ['without bounds of bytes', 'none', 1e-6],
    ['with the same bytes for each worker-second', 'equal', 1e-6],
    ['with mixed payloads', 'mixed', 1e-6],
  ] as const)('is the optimum of the linear program %s', (_, payloads, tolerance) => {
    let [infeasible, bound] = [0, 0];
    for (const seed of seeds(60)) {
      const problem = randomProblem(seed, small(payloads));
      const plan = solvePlan(problem);
      expectOptimal(problem, plan, tolerance);
      expect(plan.gap).toBeLessThan(1e-6);
      if (plan.shed.length > 0) infeasible++;
      if (plan.regions.some(({ megabytePriceMs }) => megabytePriceMs > 0)) bound++;
    }
    expect(infeasible).toBeGreaterThan(10);
    expect(infeasible).toBeLessThan(60);
    if (payloads !== 'none') expect(bound).toBeGreaterThan(10);
  });

  test('keeps all bounds and residency rules, and nothing is lost', () => {
    for (const payloads of ['none', 'equal', 'mixed'] as const)
      for (const seed of seeds(40)) {
        const problem = randomProblem(1_000 + seed, small(payloads));
        const plan = solvePlan(problem);
        for (const { source, region } of plan.assignments) expect(usable(problem, source)).toContain(region);
        for (const { region, load, capacity, remoteBytesPerSecond } of plan.regions) {
          expect(load).toBeLessThanOrEqual(capacity * 0.98 * (1 + 1e-9) + 1e-9);
          const mbps = problem.regions.find(({ name }) => name === region)?.bandwidthMbps ?? 0;
          expect((remoteBytesPerSecond * 8) / 1e6).toBeLessThanOrEqual(mbps * (1 + 1e-9));
        }
        for (const source of problem.sources) {
          const parts = [...plan.assignments, ...plan.shed].filter((part) => part.source === source);
          const sum = parts.reduce((all, { tasksPerSecond }) => all + tasksPerSecond, 0);
          expect(Math.abs(sum - source.tasksPerSecond)).toBeLessThanOrEqual(1e-6 * Math.max(1, source.tasksPerSecond));
        }
      }
  });

  test('gives up a class only when no lower one has anything in a region where it could run', () => {
    let given = 0;
    for (const seed of seeds(120)) {
      const problem = randomProblem(2_000 + seed, small('none'));
      const plan = solvePlan(problem);
      for (const { source } of plan.shed) {
        const open = usable(problem, source);
        if (open.size === 0) continue;
        given++;
        const lower = plan.assignments.filter(
          (each) => open.has(each.region) && rank(each.source) > rank(source) && each.tasksPerSecond > 1e-6,
        );
        expect(lower).toEqual([]);
      }
    }
    expect(given).toBeGreaterThan(50);
  });

  test('proves itself: at its prices every source runs only where it is cheapest', () => {
    for (const payloads of ['none', 'equal', 'mixed'] as const)
      for (const seed of seeds(40)) {
        const problem = randomProblem(3_000 + seed, small(payloads));
        const { assignments, regions } = solvePlan(problem);
        const prices = new Map(regions.map((region) => [region.region, region]));
        for (const own of assignments) {
          const cost = (region: string, latencyMs: number) => {
            const { priceMs = 0, megabytePriceMs = 0 } = prices.get(region) ?? {};
            const megabytes = region === own.source.origin ? 0 : own.source.pictureBytes / 1e6;
            return latencyMs + priceMs * own.source.taskCost + megabytePriceMs * megabytes;
          };
          const chosen = cost(own.region, own.latencyMs);
          for (const other of assignments)
            if (other.source === own.source)
              expect(Math.abs(cost(other.region, other.latencyMs) - chosen)).toBeLessThanOrEqual(1e-6 * chosen);
        }
      }
  });

  test('gives the same bytes in whatever order it is told', () => {
    for (const payloads of ['none', 'equal', 'mixed'] as const)
      for (const seed of seeds(20)) {
        const problem = randomProblem(4_000 + seed, small(payloads));
        const turned = { ...problem, regions: problem.regions.toReversed(), sources: problem.sources.toReversed() };
        expect(JSON.stringify(solvePlan(turned))).toBe(JSON.stringify(solvePlan(problem)));
      }
  });

  const own = { name: 'a', capacity: 1, workers: 1, bandwidthMbps: 100 };
  const source = {
    origin: 'a',
    model: 'm',
    priority: 'high',
    allowed: undefined,
    tasksPerSecond: 1,
    taskCost: 1,
  } as const;
  test.each([
    ['capacity', { regions: [{ ...own, capacity: Number.NaN }] }, /^capacity of a: NaN/],
    ['workers', { regions: [{ ...own, workers: 1.5 }] }, /^workers of a: 1\.5 is not whole/],
    ['negative capacity', { regions: [{ ...own, capacity: -1 }] }, /^capacity of a: -1/],
    ['bandwidth', { regions: [{ ...own, bandwidthMbps: Number.NaN }] }, /^bandwidth of a: NaN/],
    ['variation', { variation: 1e9 }, /^variation/],
    ['second region of one name', { regions: [own, own] }, /^there are two regions a/],
    [
      'demand',
      { sources: [{ ...source, pictureBytes: 1, tasksPerSecond: Number.POSITIVE_INFINITY }] },
      /^tasks a second/,
    ],
    [
      'round trip',
      { regions: [own], sources: [{ ...source, pictureBytes: 1 }], way: () => ({ roundTripMs: -5, bandwidthMbps: 1 }) },
      /^round trip from a to a: -5/,
    ],
  ])('refuses an absurd %s by name', (_, change, message) => {
    const problem = { regions: [], sources: [], way: () => undefined, variation: 1, ...change };
    expect(() => solvePlan(problem)).toThrow(message);
  });

  test('gives a source up as a whole that may run nowhere', () => {
    const nowhere = { ...source, pictureBytes: 1, allowed: new Set(['elsewhere']) };
    const way = () => ({ roundTripMs: 1, bandwidthMbps: 1 });
    const plan = solvePlan({ regions: [own], sources: [nowhere], way, variation: 1 });
    expect(plan.shed).toEqual([{ source: nowhere, tasksPerSecond: 1 }]);
    expect(plan.assignments).toEqual([]);
  });
});
