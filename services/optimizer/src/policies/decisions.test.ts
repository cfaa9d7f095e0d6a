import { describe, expect, test } from '@jest/globals';
import { solvePlan } from '@meridian/placement';
import { digestOf, planOutcome } from '../codec/plan-outcome.ts';
import { planInputs } from '../planning/inputs.ts';
import type { CacheFacts } from '../reports/facts.ts';
import { demandReport, heard, loadReport, REGIONS, source } from '../reports/reports.fixture.ts';
import { cacheSize } from './cache-size.ts';
import { policyDecisions } from './decisions.ts';

const MIB = 2 ** 20;

describe('the size of a result cache', () => {
  const facts = (more: Partial<CacheFacts> = {}): CacheFacts => ({
    ...{ bytesMax: 64 * MIB, bytes: 10 * MIB, entries: 10_240, ttlMs: 600_000 },
    ...{ hitsPerSecond: 5, missesPerSecond: 5, evictionsPerSecond: 0, ...more },
  });

  test('is what its answers take in their time', () => {
    // 5 a second for 600 s of 1 KiB.
    expect(cacheSize(facts())).toEqual({
      bytes: 3 * MIB,
      ttlMs: 600_000,
      reason: expect.stringMatching(/^50 % of 10 /),
    });
  });

  test('is more where answers that are asked for again leave for want of room', () => {
    const full = { bytesMax: MIB, bytes: MIB, entries: 1_024, evictionsPerSecond: 4 };
    const decision = cacheSize(facts(full));
    expect(decision.bytes).toBe(3 * MIB);
    expect(decision.reason).toContain('leave after 200 s for want of room');
  });

  test('stays as it is where nobody asks, or nobody asks again', () => {
    expect(cacheSize(facts({ hitsPerSecond: 0, missesPerSecond: 0.05 })).bytes).toBeUndefined();
    expect(cacheSize(facts({ entries: 0, bytes: 0 })).bytes).toBeUndefined();
    const alone = cacheSize(facts({ hitsPerSecond: 0.05, missesPerSecond: 20, evictionsPerSecond: 20 }));
    expect(alone).toMatchObject({ bytes: undefined, reason: expect.stringContaining('nobody asks for again') });
  });
});

describe('claims that workers take ahead', () => {
  const outcomeOf = (loads: readonly ReturnType<typeof loadReport>[]) => {
    const demands = REGIONS.map((region) => demandReport(region));
    const inputs = planInputs(heard(loads, demands), 'beijing');
    return planOutcome(inputs, solvePlan(inputs.problem));
  };
  const one = { workers: 1, claims: 8, fetchMs: 5.26, serviceMs: 31.4 };
  const several = { workers: 4, claims: 26, fetchMs: 52.3, serviceMs: 131 };

  test('are shown of each region that has measured them, with what they come from', () => {
    const loads = [
      loadReport('beijing', { claimsAhead: one }),
      loadReport('shanghai', { claimsAhead: several }),
      loadReport('guangzhou'),
    ];
    expect(outcomeOf(loads).decisions).toMatchObject([
      {
        ...{ policy: 'claims-ahead', region: 'beijing', peer: '', decision: '8 per worker' },
        reason: 'bytes are here 5.3 ms after they are asked for, a picture takes 31 ms: of one worker',
      },
      {
        ...{ policy: 'claims-ahead', region: 'shanghai', decision: '6.5 per worker' },
        reason: 'bytes are here 52 ms after they are asked for, a picture takes 131 ms: medians of 4 workers',
      },
    ]);
  });

  test('of a region without workers are not: nobody takes any', () => {
    const loads = REGIONS.map((region) => loadReport(region, { workers: 0, slots: 0, claimsAhead: one }));
    expect(outcomeOf(loads).decisions).toEqual([]);
  });

  test('the same reports give the same bytes, in whatever order they are heard', () => {
    const loads = REGIONS.map((region, i) => loadReport(region, { claimsAhead: i === 0 ? one : several }));
    expect(digestOf(outcomeOf(loads))).toEqual(digestOf(outcomeOf(loads.toReversed())));
  });
});

describe('the form of pictures on a link', () => {
  const big = { pictureBytes: 5_000_000, picturePixels: 12_000_000, modelPixels: 320 * 320 };
  const measured = { downscaleMsPerMegapixel: 3, downscaleAheadMs: 4 };
  const decisions = (bandwidthMbps: number, more: Parameters<typeof source>[1], cutting = measured) => {
    const links = REGIONS.slice(1).map((region) => ({ region, roundTripMs: 50, bandwidthMbps, transfers: 20 }));
    const reports = heard(
      REGIONS.map((region) => loadReport(region)),
      [demandReport('beijing', { sources: [source(12, more)], links, ...cutting })],
    );
    const inputs = planInputs(reports, 'beijing');
    const plan = solvePlan(inputs.problem);
    remote = plan.assignments.find(({ region }) => region !== 'beijing');
    return policyDecisions(inputs, plan);
  };
  /** The first assignment to another region, of the plan made last. */
  let remote: ReturnType<typeof solvePlan>['assignments'][number] | undefined;

  test('is the model’s where pictures are big and the link is what makes them late', () => {
    const [first] = decisions(200, big);
    expect(first).toMatchObject({ policy: 'payload-form', region: 'beijing', decision: 'downscaled-lossless' });
    // 4,795,200 B less at 200 Mbit/s are 191.8 ms; 4 ms ahead and 12 megapixels of 3 ms.
    expect(first?.reason).toBe('downscaled-lossless: 204800 B in place of 5000000, 151.8 ms sooner');
    // The plan counts the same: round trips, 40 ms of downscaling, 8.2 ms of transfer, 100 ms of service.
    expect(remote?.latencyMs).toBeCloseTo(2 * 50 + 40 + 8.192 + 100, 3);
  });

  test('is the original on a wide link, and of a picture that is hardly bigger than what the model takes', () => {
    expect(decisions(100_000, big)[0]).toMatchObject({ decision: 'original' });
    expect(decisions(200, { ...big, picturePixels: 300_000 })[0]).toMatchObject({ decision: 'original' });
    const busy = { downscaleMsPerMegapixel: 3, downscaleAheadMs: 400 };
    expect(decisions(200, big, busy)[0]).toMatchObject({ decision: 'original' });
    expect(remote?.latencyMs).toBeCloseTo(2 * 50 + 200 + 100, 3);
  });

  test('is not decided where nobody has measured what it takes', () => {
    for (const unknown of [{ picturePixels: 0 }, { modelPixels: 0 }])
      expect(decisions(200, { ...big, ...unknown })).toEqual([]);
    expect(decisions(200, big, { downscaleMsPerMegapixel: 0, downscaleAheadMs: 0 })).toEqual([]);
  });
});
