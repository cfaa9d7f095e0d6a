import { describe, expect, test } from '@jest/globals';
import { readDemand, readLoad } from './read-report.ts';
import { REPORT_AGE_MAX_MS, ReportDesk } from './report-desk.ts';
import { demandReport, KNOWN, loadReport, REGIONS, source } from './reports.fixture.ts';

const SCHEDULER = '/beijing/scheduler/1';

function loadFacts(measuredMs: number, outstanding = 0) {
  const report = loadReport('beijing', { measuredUnixMs: BigInt(measuredMs), outstanding });
  const reading = readLoad(report, 'beijing', KNOWN);
  if ('refusal' in reading) throw new Error(reading.refusal);
  return reading.facts;
}

function demandFacts(measuredMs: number, perSecond: number) {
  const report = demandReport('beijing', { measuredUnixMs: BigInt(measuredMs), sources: [source(perSecond)] });
  const reading = readDemand(report, 'beijing', KNOWN);
  if ('refusal' in reading) throw new Error(reading.refusal);
  return reading.facts;
}

/** Wall clock and monotonic clock go together. */
const at = (ms: number) => ({ wallMs: 1_000_000 + ms, monotonicMs: ms });
const beijing = (desk: ReportDesk, ms: number) => desk.fresh(ms)[0];

describe('the desk of reports', () => {
  test('a report counts until it is old, and all regions of the topology are told of', () => {
    const desk = new ReportDesk(REGIONS);
    expect(desk.load(SCHEDULER, loadFacts(1_000_000, 7), at(0))).toBeUndefined();
    expect(desk.fresh(REPORT_AGE_MAX_MS - 1).map(({ region, load }) => [region, load?.outstanding])).toEqual([
      ['beijing', 7],
      ['shanghai', undefined],
      ['guangzhou', undefined],
    ]);
    expect(beijing(desk, REPORT_AGE_MAX_MS)?.load).toBeUndefined();
  });

  test('what was measured too long ago, or by a clock ahead of ours, changes nothing', () => {
    const desk = new ReportDesk(REGIONS);
    expect(desk.load(SCHEDULER, loadFacts(1_000_000), at(REPORT_AGE_MAX_MS + 1))).toBe('stale');
    expect(desk.load(SCHEDULER, loadFacts(1_001_500), at(0))).toBe('ahead');
    expect(beijing(desk, 0)?.load).toBeUndefined();
  });

  test('what comes late or twice changes nothing, and does not keep a silent region alive', () => {
    const desk = new ReportDesk(REGIONS);
    expect(desk.load(SCHEDULER, loadFacts(1_000_100, 5), at(100))).toBeUndefined();
    expect(desk.load(SCHEDULER, loadFacts(1_000_000, 9), at(200))).toBe('old');
    expect(desk.load(SCHEDULER, loadFacts(1_000_100, 9), at(2_900))).toBe('old');
    expect(beijing(desk, 2_900)?.load?.outstanding).toBe(5);
    expect(beijing(desk, 3_100)?.load).toBeUndefined();
  });

  test('a clock that was set back further than reports are apart is followed', () => {
    const desk = new ReportDesk(REGIONS);
    desk.load(SCHEDULER, loadFacts(1_002_500, 1), at(2_000));
    expect(desk.load(SCHEDULER, loadFacts(1_000_100, 2), at(2_100))).toBeUndefined();
    expect(beijing(desk, 2_100)?.load?.outstanding).toBe(2);
  });

  test('schedulers of a region stand side by side, in the order of their names, and only so many', () => {
    const desk = new ReportDesk(REGIONS);
    for (let n = 15; n >= 0; n--)
      desk.demand(`/beijing/scheduler/${String.fromCharCode(97 + n)}`, demandFacts(1_000_000, n), at(0));
    expect(desk.demand('/beijing/scheduler/q', demandFacts(1_000_000, 99), at(0))).toBe('too-many');
    const rates = beijing(desk, 0)?.demands.map(({ sources }) => sources[0]?.tasksPerSecond);
    expect(rates).toEqual(Array.from({ length: 16 }, (_, n) => n));
    // Those who have fallen silent make room.
    expect(desk.demand('/beijing/scheduler/q', demandFacts(1_004_000, 99), at(4_000))).toBeUndefined();
    expect(beijing(desk, 4_000)?.demands).toHaveLength(1);
  });

  test('time in which nobody could be heard is nobody’s silence', () => {
    const desk = new ReportDesk(REGIONS);
    desk.load(SCHEDULER, loadFacts(1_000_000), at(0));
    desk.excuse(5_000);
    expect(beijing(desk, 7_000)?.load).toBeDefined();
    expect(beijing(desk, 8_000)?.load).toBeUndefined();
  });
});
