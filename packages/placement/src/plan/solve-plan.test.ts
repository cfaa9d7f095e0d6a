import { describe, expect, test } from '@jest/globals';
import { latencyOf, piecesOf } from './plan-network.ts';
import { compare, leastShedOf } from './plan-program.fixture.ts';
import { CLASSES, type PlanProblem, type PlanRegion, type PlanSource, type PriorityClass, sentOn } from './problem.ts';
import { type Kind, randomProblem } from './random-problem.fixture.ts';
import { type RegionPlan, solvePlan } from './solve-plan.ts';

/**
 * Goal: the plan is the optimum of the written model. Method: random problems with residency masks, idle regions and too much
 * demand, against the same model as a linear program, written down again from its definition. `make bench ONLY=placement`
 * has a thousand of them, up to 60 regions.
 */
const small = (payloads: Kind['payloads']): Kind => ({ regionsMin: 3, regionsMax: 14, payloads });
const seeds = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

/** Regions that the source may and can use. */
function usable({ regions, way }: PlanProblem, { origin, allowed }: PlanSource): ReadonlySet<string> {
  const open = regions.filter(
    ({ name, capacity }) => capacity > 0 && way(origin, name) !== undefined && (allowed?.has(name) ?? true),
  );
  return new Set(open.map(({ name }) => name));
}

/** What a task costs all, ms: its way and service, the load and the bytes that it takes. */
function atPrices({ way }: PlanProblem, source: PlanSource, to: RegionPlan, latencyMs: number): number {
  const lane = to.region === source.origin ? undefined : way(source.origin, to.region);
  const megabytes = lane === undefined ? 0 : sentOn(source, lane).bytes / 1e6;
  return latencyMs + to.priceMs * source.taskCost + to.megabytePriceMs * megabytes;
}

function firstSlope(problem: PlanProblem, region: string): number {
  const own = problem.regions.find(({ name }) => name === region) as PlanRegion;
  return own.capacity > 0 ? (piecesOf(own, problem)[0]?.slope ?? 0) : Number.POSITIVE_INFINITY;
}

const rank = ({ priority }: PlanSource) => CLASSES.indexOf(priority);

describe('solvePlan', () => {
  test.each([
    ['without bounds of bytes', 'none'],
    ['with the same bytes for each worker-second', 'equal'],
    ['with mixed payloads', 'mixed'],
  ] as const)('is the optimum of the linear program %s', (_, payloads) => {
    let [infeasible, bound] = [0, 0];
    const problems = [
      ...seeds(60).map((seed) => randomProblem(seed, small(payloads))),
      ...seeds(3).map((seed) => randomProblem(seed, { regionsMin: 40, regionsMax: 60, payloads })),
    ];
    for (const problem of problems) {
      const { plan, difference } = compare(problem);
      expect(difference).toBeLessThanOrEqual(1e-6);
      expect(plan.gap).toBeLessThan(1e-6);
      if (plan.shed.length > 0) infeasible++;
      if (plan.regions.some(({ megabytePriceMs }) => megabytePriceMs > 0)) bound++;
    }
    expect(infeasible).toBeGreaterThan(10);
    expect(infeasible).toBeLessThan(problems.length);
    if (payloads !== 'none') expect(bound).toBeGreaterThan(10);
  });

  test.each(['none', 'equal'] as const)('gives up by priority, and no more than it must (%s)', (payloads) => {
    const classes = new Set<PriorityClass>();
    for (const priority of CLASSES) {
      classes.add(priority);
      for (const seed of seeds(20)) {
        const problem = randomProblem(5_000 + seed, small(payloads));
        const given = solvePlan(problem).shed.filter(({ source }) => classes.has(source.priority));
        const sum = given.reduce((all, { source, tasksPerSecond }) => all + tasksPerSecond * source.taskCost, 0);
        expect(Math.abs(sum - leastShedOf(problem, classes))).toBeLessThanOrEqual(1e-6 * Math.max(1, sum));
      }
    }
  });

  test('gives nothing up with mixed payloads where all can be placed', () => {
    let [all, bound] = [0, 0];
    for (const seed of seeds(100)) {
      const problem = randomProblem(6_000 + seed, small('mixed'));
      if (leastShedOf(problem, new Set(CLASSES)) > 1e-9) continue;
      const { shed, regions } = solvePlan(problem);
      expect(shed).toEqual([]);
      all++;
      if (regions.some(({ megabytePriceMs }) => megabytePriceMs > 0)) bound++;
    }
    expect(all).toBeGreaterThan(20);
    expect(bound).toBeGreaterThan(5);
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

  test('proves itself: at its prices every source runs where it is cheapest, and only what is full has a price', () => {
    for (const payloads of ['none', 'equal', 'mixed'] as const)
      for (const seed of seeds(40)) {
        const problem = randomProblem(3_000 + seed, small(payloads));
        const { assignments, regions } = solvePlan(problem);
        for (const { region, remoteBytesPerSecond, megabytePriceMs, priceMs, load } of regions) {
          const { bandwidthMbps } = problem.regions.find(({ name }) => name === region) as PlanRegion;
          if (megabytePriceMs > 1e-6) expect((remoteBytesPerSecond * 8) / 1e6 / bandwidthMbps).toBeCloseTo(1, 6);
          if (load === 0) expect(priceMs).toBeLessThanOrEqual(firstSlope(problem, region) + 1e-6);
        }
        for (const { source, region, latencyMs } of assignments) {
          const chosen = atPrices(
            problem,
            source,
            regions.find((each) => each.region === region) as RegionPlan,
            latencyMs,
          );
          for (const other of usable(problem, source)) {
            const to = problem.regions.find(({ name }) => name === other) as PlanRegion;
            const ownMs = latencyOf(problem, source, to) ?? Number.POSITIVE_INFINITY;
            const there = atPrices(problem, source, regions.find((each) => each.region === other) as RegionPlan, ownMs);
            expect(chosen).toBeLessThanOrEqual(there + 1e-6 * Math.max(1, chosen));
          }
        }
      }
  });

  test('counts of large pictures what is sent on each way: fewer bytes into a region leave room for more tasks', () => {
    const big = { model: 'detector', priority: 'normal' as const, allowed: new Set(['far']), tasksPerSecond: 10 };
    const problem = (downscaling: PlanSource['downscaling']): PlanProblem => ({
      regions: [
        { name: 'home', capacity: 4, workers: 4, bandwidthMbps: 80 },
        { name: 'far', capacity: 4, workers: 4, bandwidthMbps: 80 },
      ],
      sources: [{ ...big, origin: 'home', taskCost: 0.1, pictureBytes: 4e6, downscaling }],
      way: (origin, to) =>
        origin === to
          ? { roundTripMs: 0, bandwidthMbps: Number.POSITIVE_INFINITY }
          : { roundTripMs: 100, bandwidthMbps: 80 },
      ...{ variation: 1, waitPart: 0.1 },
    });
    // 10 MB a second are 2.5 originals.
    const originals = solvePlan(problem(undefined));
    expect(originals.shed[0]?.tasksPerSecond).toBeCloseTo(7.5, 6);
    expect(originals.assignments[0]?.latencyMs).toBeCloseTo(100 + 400 + 100, 6);
    const downscaled = solvePlan(problem({ bytes: 200_000, takesMs: 40 }));
    expect(downscaled.shed).toEqual([]);
    expect(downscaled.assignments[0]?.latencyMs).toBeCloseTo(100 + 40 + 20 + 100, 6);
    expect(downscaled.regions.find(({ region }) => region === 'far')?.remoteBytesPerSecond).toBeCloseTo(2e6, 3);
    expect(() => solvePlan(problem({ bytes: 0, takesMs: 40 }))).toThrow(/^downscaled bytes of detector from home: 0/);
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
    ['part of waiting', { waitPart: 0 }, /^part of waiting/],
    [
      'priority',
      { sources: [{ ...source, pictureBytes: 1, priority: 'urgent' as PriorityClass }] },
      /^priority of m from a: urgent is none of high, normal, low/,
    ],
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
    const problem = { regions: [], sources: [], way: () => undefined, variation: 1, waitPart: 1, ...change };
    expect(() => solvePlan(problem)).toThrow(message);
  });

  test('gives a source up as a whole that may run nowhere', () => {
    const nowhere = { ...source, pictureBytes: 1, allowed: new Set(['elsewhere']) };
    const way = () => ({ roundTripMs: 1, bandwidthMbps: 1 });
    const plan = solvePlan({ regions: [own], sources: [nowhere], way, variation: 1, waitPart: 1 });
    expect(plan.shed).toEqual([{ source: nowhere, tasksPerSecond: 1, reason: 'NO_REGION' }]);
    expect(plan.assignments).toEqual([]);
  });
});
