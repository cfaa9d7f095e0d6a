import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  type DemandReport,
  DemandReportSchema,
  type LoadReport,
  LoadReportSchema,
} from '@meridian/contracts/telemetry';
import { readDemand, readLoad } from './read-report.ts';
import { type RegionReports, ReportDesk } from './report-desk.ts';

/** Reports as schedulers send them, for the tests of this service. */

export const REGIONS = ['beijing', 'shanghai', 'guangzhou'] as const;
export const KNOWN: ReadonlySet<string> = new Set(REGIONS);
export const BLAZEFACE = `sha256:${'b'.repeat(64)}`;
export const CENTERNET = `sha256:${'c'.repeat(64)}`;
const ROUND_TRIPS_MS: Readonly<Record<string, number>> = {
  'beijing shanghai': 50,
  'beijing guangzhou': 100,
  'guangzhou shanghai': 150,
};

type LoadInit = MessageInitShape<typeof LoadReportSchema>;
type DemandInit = MessageInitShape<typeof DemandReportSchema>;
type SourceInit = NonNullable<DemandInit['sources']>[number];

export function loadReport(region: string, more: LoadInit = {}): LoadReport {
  const usual = { region, capacity: 1, price: 0, workers: 1, slots: 1, outstanding: 2, measuredUnixMs: 1_000n };
  return create(LoadReportSchema, { ...usual, ...more });
}

export function demandReport(region: string, more: DemandInit = {}): DemandReport {
  const links = REGIONS.filter((name) => name !== region).map((name) => ({
    ...{ region: name, bandwidthMbps: 1_000, transfers: 0 },
    roundTripMs: ROUND_TRIPS_MS[[region, name].sort().join(' ')] ?? 0,
  }));
  return create(DemandReportSchema, { region, measuredUnixMs: 1_000n, links, ...more });
}

/** `perSecond` tasks of a model that is ready everywhere. */
export function source(perSecond: number, more: Partial<SourceInit> = {}): SourceInit {
  return {
    ...{ modelDigest: BLAZEFACE, model: 'blazeface', priority: 'normal', runnableRegions: [...REGIONS] },
    ...{ tasksPerSecond: perSecond, pictureBytes: 100_000, expectedServiceMs: 100 },
    ...{ picturePixels: 0, modelPixels: 0, decodeMs: 0 },
    ...more,
  } as SourceInit;
}

/** What a desk makes of them. @throws Error for a report that it refuses */
export function heard(
  loads: readonly LoadReport[],
  demands: readonly DemandReport[],
  reporter: (region: string) => string = (region) => `/${region}/scheduler/1`,
): RegionReports[] {
  const desk = new ReportDesk(REGIONS);
  const now = { wallMs: 1_000, monotonicMs: 0 };
  for (const report of loads) {
    const reading = readLoad(report, report.region, KNOWN);
    if ('refusal' in reading) throw new Error(`load of ${report.region}: ${reading.refusal}`);
    desk.load(reporter(report.region), reading.facts, now);
  }
  for (const report of demands) {
    const reading = readDemand(report, report.region, KNOWN);
    if ('refusal' in reading) throw new Error(`demand of ${report.region}: ${reading.refusal}`);
    desk.demand(reporter(report.region), reading.facts, now);
  }
  return desk.fresh(0);
}
