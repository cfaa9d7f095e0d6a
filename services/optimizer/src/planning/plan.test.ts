import { describe, expect, test } from '@jest/globals';
import { solvePlan } from '@meridian/placement';
import { digestOf, planOutcome } from '../codec/plan-outcome.ts';
import type { RegionReports } from '../reports/report-desk.ts';
import { BLAZEFACE, CENTERNET, demandReport, heard, loadReport, REGIONS, source } from '../reports/reports.fixture.ts';
import { planInputs } from './inputs.ts';
import { leftOut } from './targets.ts';

function planOf(reports: readonly RegionReports[], own = 'beijing') {
  const inputs = planInputs(reports, own);
  return planOutcome(inputs, solvePlan(inputs.problem));
}

const measured = (serviceMs: number, modelDigest = BLAZEFACE) => ({ models: [{ modelDigest, serviceMs }] });
const others = [demandReport('shanghai'), demandReport('guangzhou')];
/** All three with the same workers, and beijing's callers. */
const three = (...sources: ReturnType<typeof source>[]) =>
  heard(
    REGIONS.map((region) => loadReport(region)),
    [demandReport('beijing', { sources }), ...others],
  );
const sharesOf = (outcome: ReturnType<typeof planOf>, at = 0) =>
  Object.fromEntries(
    (outcome.sources[at]?.shares ?? []).map(({ region, share }) => [region, Number(share.toFixed(9))]),
  );

describe('the plan of what is reported', () => {
  test('demand that the origin can do stays there; more of it goes to the next ones', () => {
    const little = planOf(three(source(3)));
    expect(sharesOf(little)).toEqual({ beijing: 1 });
    expect(little).toMatchObject({ tasksPerSecond: 3, shedPerSecond: 0, bottleneck: { kind: 'none' } });
    const much = planOf(three(source(20)));
    const shares = sharesOf(much);
    expect(shares.beijing).toBeGreaterThan(shares.guangzhou ?? 1);
    expect(shares.shanghai).toBeGreaterThan(shares.guangzhou ?? 0);
    expect(much.regions.map(({ load }) => load).reduce((sum, load) => sum + load, 0)).toBeCloseTo(2, 6);
    expect(much.latencyMs).toBeGreaterThan(100);
  });

  test('two regions with the same reports have the same bytes, in whatever order they came', () => {
    const demands = [demandReport('beijing', { sources: [source(12), source(4, { priority: 'high' })] }), ...others];
    const loads = REGIONS.map((region, i) => loadReport(region, { ...measured(80 + 20 * i), slots: i + 1 }));
    const digests = REGIONS.map((own, i) => {
      const turned = [...demands.slice(i), ...demands.slice(0, i)];
      return Buffer.from(digestOf(planOf(heard([...loads].reverse(), turned), own))).toString('hex');
    });
    expect(new Set(digests).size).toBe(1);
    const other = planOf(heard(loads, [demandReport('beijing', { sources: [source(12.1)] }), ...others]));
    expect(Buffer.from(digestOf(other)).toString('hex')).not.toBe(digests[0]);
  });

  test('too much of everything is given up by class, and the plan says so', () => {
    const plan = planOf(three(source(20, { priority: 'high' }), source(20, { priority: 'low' })));
    const [first, second] = plan.sources;
    expect(first).toMatchObject({ priority: 'high', shedPerSecond: 0, shedReason: '' });
    expect(second).toMatchObject({ priority: 'low', shedReason: 'NO_ROOM' });
    expect(plan.shedPerSecond).toBeCloseTo(40 - 0.98 * 30, 6);
    expect(plan.bottleneck).toMatchObject({ kind: 'capacity', reason: expect.stringContaining('demand is given up') });
  });

  test('a rule, and a model that is not ready, keep tasks where they may run; nowhere is said', () => {
    const ruled = { restricted: true, allowedRegions: ['guangzhou'], runnableRegions: ['guangzhou'] };
    expect(sharesOf(planOf(three(source(3, ruled))))).toEqual({ guangzhou: 1 });
    expect(sharesOf(planOf(three(source(3, { runnableRegions: ['shanghai'] }))))).toEqual({ shanghai: 1 });
    const nowhere = planOf(three(source(3, { runnableRegions: [] })));
    expect(nowhere.sources[0]).toMatchObject({ shedPerSecond: expect.closeTo(3, 9), shedReason: 'NO_REGION' });
    expect(nowhere.bottleneck?.kind).toBe('regions');
  });

  test('the schedulers of a region add up', () => {
    const desk = (n: number) => heard([], [demandReport('beijing', { sources: [source(n)] })], () => `/b/${n}`);
    const [one, two] = [desk(2), desk(3)].map((reports) => reports[0]?.demands ?? []);
    const loads = heard(
      REGIONS.map((region) => loadReport(region)),
      others,
    );
    const reports = loads.map((each) =>
      each.region === 'beijing' ? { ...each, demands: [...(one ?? []), ...(two ?? [])] } : each,
    );
    expect(planOf(reports).sources).toHaveLength(1);
    expect(planOf(reports).tasksPerSecond).toBe(5);
  });

  test('a task takes two of the round trips that are measured', () => {
    const [planned] = planOf(three(source(3, { runnableRegions: ['shanghai'] }))).sources;
    expect(planned?.shares).toMatchObject([{ region: 'shanghai', roundTripMs: 2 * 50 }]);
  });

  test('links are as the origin sees them: slow ones take the longer way, one that is gone takes nothing', () => {
    const links = [
      { region: 'shanghai', roundTripMs: 300, bandwidthMbps: 1_000 },
      { region: 'guangzhou', roundTripMs: 100, bandwidthMbps: 1_000 },
    ];
    const through = (ways: typeof links) =>
      sharesOf(
        planOf(
          heard(
            REGIONS.map((region) => loadReport(region)),
            [demandReport('beijing', { sources: [source(15)], links: ways }), ...others],
          ),
          'guangzhou',
        ),
      );
    const slow = through(links);
    expect(slow.guangzhou).toBeGreaterThan(slow.shanghai ?? 0);
    const cut = through(links.slice(1));
    expect(Object.keys(cut).sort()).toEqual(['beijing', 'guangzhou']);
  });

  test('narrow links bound what goes over them', () => {
    const links = REGIONS.slice(1).map((region) => ({ region, roundTripMs: 50, bandwidthMbps: 1.6, transfers: 20 }));
    const big = source(15, { pictureBytes: 100_000 });
    const plan = planOf(
      heard(
        REGIONS.map((region) => loadReport(region)),
        [
          demandReport('beijing', { sources: [big], links }),
          ...REGIONS.slice(1).map((r) => demandReport(r, { links: [] })),
        ],
      ),
    );
    for (const { region, remoteBytesPerSecond } of plan.regions)
      if (region !== 'beijing') expect(remoteBytesPerSecond).toBeLessThanOrEqual(200_000 * (1 + 1e-9));
    expect(plan.shedPerSecond).toBeCloseTo(15 - 9.8 - 4, 6);
    expect(plan.bottleneck?.kind).toBe('bandwidth');
  });
});

describe('what regions can do', () => {
  const capacities = (plan: ReturnType<typeof planOf>) =>
    Object.fromEntries(plan.regions.map(({ region, capacity }) => [region, capacity]));
  const demands = [demandReport('beijing', { sources: [source(5)] }), ...others];

  test('is as configured where nobody has measured, at the cost of the manifest', () => {
    const plan = planOf(
      heard(
        REGIONS.map((region, i) => loadReport(region, { capacity: i + 1 })),
        demands,
      ),
    );
    expect(capacities(plan)).toEqual({ beijing: 1, shanghai: 2, guangzhou: 3 });
    expect(plan.sources[0]?.taskCost).toBe(0.1);
  });

  test('a region that takes longer than its neighbours can do less than it is configured for', () => {
    const loads = REGIONS.map((region, i) => loadReport(region, measured(i === 1 ? 400 : 200)));
    const plan = planOf(heard(loads, demands));
    expect(capacities(plan)).toEqual({ beijing: 1, shanghai: 0.5, guangzhou: 1 });
    expect(plan.sources[0]?.taskCost).toBe(0.2);
  });

  test('workers side by side count, and what others measured there counts where the region itself has not', () => {
    const serviceTimes = [{ region: 'shanghai', modelDigest: BLAZEFACE, serviceMs: 100 }];
    const loads = [
      loadReport('beijing', { ...measured(100), slots: 1 }),
      loadReport('shanghai', { slots: 4, capacity: 2 }),
    ];
    const plan = planOf(heard(loads, [demandReport('beijing', { sources: [source(5)], serviceTimes })]));
    // The same time on each: a worker of either is as fast, whatever the file says.
    const { beijing = 0, shanghai = 0 } = capacities(plan);
    expect(shanghai / beijing).toBeCloseTo(4, 9);
  });

  test('one region that is wrong about itself does not change what tasks cost elsewhere', () => {
    const honest = planOf(
      heard(
        REGIONS.map((region) => loadReport(region, measured(100))),
        demands,
      ),
    );
    const lying = REGIONS.map((region, i) =>
      loadReport(region, i === 2 ? { ...measured(0.001), capacity: 1e6 } : measured(100)),
    );
    const plan = planOf(heard(lying, demands));
    expect(plan.sources[0]?.taskCost).toBe(honest.sources[0]?.taskCost);
    expect(capacities(plan).beijing).toBe(1);
  });

  test('what waits is less where times hardly vary, and more where models are mixed', () => {
    const serviceTimes = [{ region: 'beijing', modelDigest: BLAZEFACE, serviceMs: 100, variation: 0, samples: 40 }];
    const variation = (more: Parameters<typeof demandReport>[1]) =>
      planInputs(heard([loadReport('beijing')], [demandReport('beijing', more)]), 'beijing').problem.variation;
    expect(variation({ sources: [source(5)] })).toBe(1);
    expect(variation({ sources: [source(5)], serviceTimes })).toBe(0);
    const mixed = [source(5), source(5, { modelDigest: CENTERNET, expectedServiceMs: 300 })];
    // Means of 100 and 300 ms alone have 0.25; the second model's own times count as exponential.
    expect(variation({ sources: mixed, serviceTimes })).toBeCloseTo((0.01 + 0.18) / 2 / 0.04 - 1, 9);
  });

  test('models keep their proportion', () => {
    const models = [
      { modelDigest: BLAZEFACE, serviceMs: 20 },
      { modelDigest: CENTERNET, serviceMs: 120 },
    ];
    const sources = [source(5), source(1, { modelDigest: CENTERNET, model: 'centernet-320' })];
    const plan = planOf(heard([loadReport('beijing', { models })], [demandReport('beijing', { sources })]));
    const [blazeface, centernet] = plan.sources;
    expect((centernet?.taskCost ?? 0) / (blazeface?.taskCost ?? 1)).toBeCloseTo(6, 9);
  });
});

describe('who is a target', () => {
  const reports = (loads: string[], demands: Parameters<typeof heard>[1]) =>
    leftOut(
      heard(
        loads.map((region) => loadReport(region)),
        demands,
      ),
      'beijing',
    );

  test('nobody without a fresh report, or without workers, or whom the own schedulers do not reach', () => {
    expect(Object.fromEntries(reports(['beijing', 'shanghai'], []))).toEqual({
      beijing: undefined,
      shanghai: undefined,
      guangzhou: 'silent',
    });
    const links = [{ region: 'guangzhou', roundTripMs: 100, bandwidthMbps: 10 }];
    const seen = reports([...REGIONS], [demandReport('beijing', { links }), ...others]);
    expect(Object.fromEntries(seen)).toEqual({ beijing: undefined, shanghai: 'unreached', guangzhou: undefined });
    const idle = leftOut(heard([loadReport('beijing', { workers: 0 })], []), 'beijing');
    expect(idle.get('beijing')).toBe('no-workers');
  });

  test('a region that is cut off plans for itself, with its own reports only', () => {
    const cut = heard(
      REGIONS.map((region) => loadReport(region)),
      [
        demandReport('beijing', { sources: [source(15)], links: [] }),
        demandReport('shanghai', { sources: [source(9)] }),
      ],
    );
    const plan = planOf(cut);
    expect(plan.regions.map(({ region }) => region)).toEqual(['beijing']);
    expect(plan.sources.map(({ origin }) => origin)).toEqual(['beijing']);
    expect(plan.shedPerSecond).toBeCloseTo(15 - 9.8, 6);
  });
});

test('64 regions that tell of all the sources that they may are solved; what has no room is counted', () => {
  const names = Array.from({ length: 64 }, (_, i) => `r${String(i).padStart(2, '0')}`);
  const reports = names.map((region, at): RegionReports => {
    const links = new Map(
      names.map((to, i) => [to, { roundTripMs: 1 + Math.abs(at - i), bandwidthMbps: 1_000, transfers: 0 }] as const),
    );
    links.delete(region);
    const sources = Array.from({ length: 128 }, (_, n) => ({
      ...{ modelDigest: `sha256:${n.toString(16).padStart(64, '0')}`, model: `m${n}`, priority: 'normal' as const },
      ...{ allowed: undefined, runnable: names, tasksPerSecond: 0.1 + n / 100, pictureBytes: 50_000 + 1_000 * n },
      expectedServiceMs: 10 + n,
      ...{ picturePixels: 0, modelPixels: 0, downscaleMs: 0 },
    }));
    const facts = { region, measuredMs: 1_000 };
    const ahead = undefined;
    const load = { ...facts, capacity: 8, workers: 8, outstanding: 0, priceMs: 0, serviceMs: new Map(), ahead };
    const demands = [{ ...facts, sources, links, services: [], unlistedPerSecond: 0, cache: undefined }];
    return { region, load, loadAgeMs: 0, demands, demandAgeMs: 0 };
  });
  const inputs = planInputs(reports, 'r00');
  expect(inputs.demands.length * reports.length).toBeLessThanOrEqual(20_000);
  expect(inputs.unlistedPerSecond).toBeGreaterThan(0);
  const startMs = performance.now();
  const outcome = planOutcome(inputs, solvePlan(inputs.problem));
  process.stderr.write(`64 regions, ${inputs.demands.length} sources: ${Math.round(performance.now() - startMs)} ms\n`);
  expect(outcome.regions).toHaveLength(64);
});
