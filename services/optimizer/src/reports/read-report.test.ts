import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from '@jest/globals';
import { LoadReportSchema } from '@meridian/contracts/telemetry';
import fc from 'fast-check';
import { readDemand, readLoad } from './read-report.ts';
import { BLAZEFACE, demandReport, KNOWN, loadReport, source } from './reports.fixture.ts';

/** Values that no region can mean. */
const WRONG = [Number.NaN, -1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e9];

describe('load reports', () => {
  test('what a region can say of itself is read', () => {
    const models = [
      { modelDigest: BLAZEFACE, serviceMs: 40 },
      { modelDigest: `sha256:${'0'.repeat(64)}`, serviceMs: 0 },
    ];
    const reading = readLoad(loadReport('beijing', { slots: 4, workers: 2, models }), 'beijing', KNOWN);
    expect(reading).toEqual({
      facts: {
        ...{ region: 'beijing', capacity: 1, workers: 4, outstanding: 2, priceMs: 0, measuredMs: 1_000 },
        serviceMs: new Map([[BLAZEFACE, 40]]),
        ahead: undefined,
      },
      unknown: 0,
    });
  });

  test('one who does not say how many pictures its workers take has as many as workers; none has none', () => {
    const facts = (more: object) => readLoad(loadReport('beijing', more), 'beijing', KNOWN);
    expect(facts({ slots: 0, workers: 3 })).toMatchObject({ facts: { workers: 3 } });
    expect(facts({ slots: 4, workers: 0 })).toMatchObject({ facts: { workers: 0 } });
  });

  test.each(WRONG)('capacity, price or a time of %d is refused', (wrong) => {
    const models = [{ modelDigest: BLAZEFACE, serviceMs: wrong }];
    for (const more of [{ capacity: wrong }, { price: wrong }, { models }])
      expect(readLoad(loadReport('beijing', more), 'beijing', KNOWN)).toEqual({ refusal: 'number' });
  });

  const AHEAD = { workers: 3, claims: 18, fetchMs: 52, serviceMs: 31 };

  test('claims that workers take ahead are read', () => {
    expect(readLoad(loadReport('beijing', { claimsAhead: AHEAD }), 'beijing', KNOWN)).toMatchObject({
      facts: { ahead: AHEAD },
    });
  });

  test.each(WRONG)('a time of %d that they decide by is refused', (wrong) => {
    for (const more of [{ fetchMs: wrong }, { serviceMs: wrong }])
      expect(readLoad(loadReport('beijing', { claimsAhead: { ...AHEAD, ...more } }), 'beijing', KNOWN)).toEqual({
        refusal: 'number',
      });
  });

  test.each([
    ['of no worker', { workers: 0 }],
    ['of more workers than any fleet has', { workers: 10_001, claims: 20_000 }],
    ['fewer than workers', { claims: 2 }],
    ['more than workers can be configured to take', { claims: 3 * 1_024 + 1 }],
  ])('claims %s are refused', (_, more) => {
    const claimsAhead = { ...AHEAD, ...more };
    expect(readLoad(loadReport('beijing', { claimsAhead }), 'beijing', KNOWN)).toEqual({ refusal: 'number' });
  });

  test('nobody speaks for another region, or for one that is not there', () => {
    expect(readLoad(loadReport('beijing'), 'shanghai', KNOWN)).toEqual({ refusal: 'region' });
    expect(readLoad(loadReport('tokyo'), 'tokyo', KNOWN)).toEqual({ refusal: 'region' });
  });

  test('more models than any scheduler names, workers beyond any fleet, a digest that is none', () => {
    const models = Array.from({ length: 65 }, () => ({ modelDigest: BLAZEFACE, serviceMs: 1 }));
    expect(readLoad(loadReport('beijing', { models }), 'beijing', KNOWN)).toEqual({ refusal: 'too-many' });
    expect(readLoad(loadReport('beijing', { slots: 4_000_000_000 }), 'beijing', KNOWN)).toEqual({ refusal: 'number' });
    const none = [{ modelDigest: 'blazeface', serviceMs: 1 }];
    expect(readLoad(loadReport('beijing', { models: none }), 'beijing', KNOWN)).toEqual({ refusal: 'text' });
  });

  test('whatever comes is read with possible numbers, or refused', () => {
    const any = fc.record({
      region: fc.constantFrom('beijing', 'shanghai', '', '__proto__'),
      capacity: fc.double(),
      price: fc.double(),
      workers: fc.nat(20_000),
      slots: fc.nat(20_000),
    });
    fc.assert(
      fc.property(any, (init) => {
        const reading = readLoad(create(LoadReportSchema, init), 'beijing', KNOWN);
        if ('refusal' in reading) return;
        const { capacity, priceMs, workers, region } = reading.facts;
        expect([region, capacity >= 0 && capacity <= 1e6, priceMs >= 0 && priceMs <= 1e6]).toEqual([
          'beijing',
          true,
          true,
        ]);
        expect(workers).toBeLessThanOrEqual(10_000);
      }),
    );
  });
});

describe('demand reports', () => {
  test('rules and regions in which tasks can run are read sorted; a rule narrows what can run', () => {
    const ruled = source(3, { restricted: true, allowedRegions: ['shanghai', 'beijing'] });
    const reading = readDemand(demandReport('beijing', { sources: [ruled] }), 'beijing', KNOWN);
    expect(reading).toMatchObject({
      facts: { sources: [{ allowed: ['beijing', 'shanghai'], runnable: ['beijing', 'shanghai'], tasksPerSecond: 3 }] },
      unknown: 0,
    });
  });

  test('a rule that names no region of ours allows none', () => {
    const ruled = source(3, { restricted: true, allowedRegions: ['tokyo'] });
    const reading = readDemand(demandReport('beijing', { sources: [ruled] }), 'beijing', KNOWN);
    expect(reading).toMatchObject({ facts: { sources: [{ allowed: [], runnable: [] }] } });
  });

  test('links and times of regions that are not known here are left out and told of', () => {
    const links = [
      { region: 'shanghai', roundTripMs: 50, bandwidthMbps: 10, transfers: 9 },
      { region: 'tokyo', roundTripMs: 5, bandwidthMbps: 10 },
    ];
    const serviceTimes = [
      { region: 'tokyo', modelDigest: BLAZEFACE, serviceMs: 4 },
      { region: 'beijing', modelDigest: BLAZEFACE, serviceMs: 40 },
    ];
    const reading = readDemand(demandReport('beijing', { links, serviceTimes }), 'beijing', KNOWN);
    expect(reading).toMatchObject({ unknown: 2, facts: { services: [{ region: 'beijing', serviceMs: 40 }] } });
    if ('facts' in reading) expect([...reading.facts.links.keys()]).toEqual(['shanghai']);
  });

  test.each(WRONG)('a rate, size, time, round trip or bandwidth of %d is refused', (wrong) => {
    const link = { region: 'shanghai', roundTripMs: 50, bandwidthMbps: 10 };
    const variants = [
      { sources: [source(wrong)] },
      { sources: [source(1, { pictureBytes: wrong === 1e9 ? 1e12 : wrong })] },
      { sources: [source(1, { expectedServiceMs: wrong })] },
      { links: [{ ...link, roundTripMs: wrong }] },
      { links: [{ ...link, bandwidthMbps: wrong }] },
      { serviceTimes: [{ region: 'beijing', modelDigest: BLAZEFACE, serviceMs: wrong }] },
      { unlistedTasksPerSecond: wrong },
    ];
    for (const more of variants)
      expect(readDemand(demandReport('beijing', more), 'beijing', KNOWN)).toEqual({ refusal: 'number' });
  });

  test('a class that is none, a digest that is none, more sources than any scheduler tells of', () => {
    const of = (sources: ReturnType<typeof source>[]) =>
      readDemand(demandReport('beijing', { sources }), 'beijing', KNOWN);
    expect(of([source(1, { priority: 'urgent' })])).toEqual({ refusal: 'text' });
    expect(of([source(1, { modelDigest: 'blazeface' })])).toEqual({ refusal: 'text' });
    expect(of([source(1, { model: 'x'.repeat(64) })])).toEqual({ refusal: 'text' });
    expect(of(Array.from({ length: 129 }, () => source(1)))).toEqual({ refusal: 'too-many' });
  });
});
