import { beforeEach, describe, expect, test } from '@jest/globals';
import { HybridLogicalClock, VersionVector } from '@meridian/causality';
import { subject } from '@meridian/contracts';
import type { DemandReport } from '@meridian/contracts/telemetry';
import { Emitter, InMemoryBroker, InMemoryBus } from '@meridian/messaging';
import { createLogger, VirtualClock } from '@meridian/runtime';
import { createNoopMeter } from '@opentelemetry/api';
import { CacheMeter } from '../cache/cache-meter.ts';
import { DemandMeter } from '../placement/demand.ts';
import { LinkBandwidths } from '../placement/link-bandwidth.ts';
import { ServiceVariations } from '../placement/service-variation.ts';
import { aTask, aWork, MODEL, REGIONS, regionViews } from '../tasks/task.builders.ts';
import { DemandReporter } from './demand-reporter.ts';

const INPUT = { width: 320, height: 320, fit: 'letterbox' };
const MANIFEST = { decoder: { kind: 'rows' }, parts: { model: { input: INPUT } } };
let clock: VirtualClock;
let views: ReturnType<typeof regionViews>;
let meter: DemandMeter;
let cacheMeter: CacheMeter;
let reporter: DemandReporter;
let reports: DemandReport[];
const ready = new Set<string>();

beforeEach(async () => {
  clock = new VirtualClock(1_700_000_000_000);
  views = regionViews(clock.nowMs());
  meter = new DemandMeter(({ tenant }) => (tenant === 'ruled' ? new Set(['shanghai', 'beijing']) : undefined));
  cacheMeter = new CacheMeter();
  reports = [];
  ready.clear();
  for (const region of REGIONS) ready.add(region);
  const bus = new InMemoryBus({
    broker: new InMemoryBroker({ clock, regions: REGIONS, delayMs: () => 0 }),
    emitter: new Emitter({
      ...{ region: 'beijing', service: 'scheduler', replica: '1', incarnation: 'x', clock },
      hlc: new HybridLogicalClock(() => clock.nowMs(), { driftMaxMs: 1_000 }),
      knowledge: () => VersionVector.EMPTY,
    }),
    ...{ role: 'scheduler', clock, meter: createNoopMeter() },
    logger: createLogger({ name: 'test', region: 'beijing', level: 'silent' }),
  });
  bus.subscribe(subject('demand', { origin: 'beijing' }), 'meridian.telemetry.demand.v1', ({ data }) =>
    reports.push(data),
  );
  reporter = new DemandReporter({
    ...{ bus, region: 'beijing', regions: views, meter, bandwidths: new LinkBandwidths(views), clock },
    variations: new ServiceVariations(),
    readyRegions: () => ready,
    manifestOf: (digest) => (digest === MODEL ? MANIFEST : undefined),
    cutter: { aheadMs: 300, shrinkMsPerMegapixel: 30 },
    cache: { cache: { bytes: 5_000, size: 5 }, meter: cacheMeter, bytesMax: 1_000_000, ttlMs: 600_000 },
  });
  await reporter.start();
});

/** Reports of so many milliseconds. */
async function pass(ms: number): Promise<DemandReport[]> {
  const before = reports.length;
  await clock.advanceAsync(ms);
  return reports.slice(before);
}

describe('what a scheduler tells of its callers and its links', () => {
  test('once a second, with later times each, what was asked for and where it can run', async () => {
    await pass(1);
    for (let n = 0; n < 6; n++) meter.accepted(aTask(aWork(), n));
    for (let n = 0; n < 3; n++) meter.accepted(aTask(aWork({ tenant: 'ruled' }), n));
    ready.delete('beijing');
    const said = await pass(3_000);
    expect(said).toHaveLength(3);
    const times = said.map(({ measuredUnixMs }) => measuredUnixMs);
    expect(times).toEqual([...new Set(times)].sort());
    const [all, ruled] = said[0]?.sources ?? [];
    expect(said[0]).toMatchObject({ downscaleMsPerMegapixel: 30, downscaleAheadMs: 300 });
    expect(all).toMatchObject({
      ...{ modelDigest: MODEL, priority: 'normal', restricted: false, tasksPerSecond: 6, pictureBytes: 100_000 },
      ...{ runnableRegions: ['guangzhou', 'shanghai'], expectedServiceMs: 30, modelPixels: 102_400, picturePixels: 0 },
    });
    expect(ruled).toMatchObject({
      restricted: true,
      allowedRegions: ['beijing', 'shanghai'],
      runnableRegions: ['shanghai'],
    });
  });

  test('the links of the regions that answer; one that does not is told of at once', async () => {
    const [first] = [...reports, ...(await pass(1_000))];
    const shown = (report: DemandReport | undefined) =>
      report?.links.map(({ region, roundTripMs }) => [region, roundTripMs]);
    expect(shown(first)).toEqual([
      ['shanghai', 25],
      ['guangzhou', 50],
    ]);
    views.get('shanghai')?.tick(clock.nowMs() + 2_000);
    expect(shown((await pass(100))[0])).toEqual([['guangzhou', 50]]);
    views.get('shanghai')?.heard(clock.nowMs());
    expect(shown((await pass(100))[0])).toEqual([
      ['shanghai', 25],
      ['guangzhou', 50],
    ]);
  });

  test('a round trip that steps is told of at once, a small change with the next report', async () => {
    await pass(1_050);
    views.get('guangzhou')?.measured(55);
    expect(await pass(200)).toEqual([]);
    for (let n = 0; n < 6; n++) views.get('guangzhou')?.measured(300);
    expect((await pass(200))[0]?.links.at(-1)).toMatchObject({ region: 'guangzhou', roundTripMs: 300 });
  });

  test('processing times as seen on the own tasks, and what is asked of the result cache', async () => {
    await pass(1);
    views.get('shanghai')?.processed(MODEL, 42);
    for (let n = 0; n < 4; n++) cacheMeter.used('hit');
    cacheMeter.used('miss');
    const [said] = await pass(1_000);
    expect(said?.serviceTimes).toMatchObject([{ region: 'shanghai', modelDigest: MODEL, serviceMs: 42 }]);
    expect(said?.cache).toMatchObject({ bytesMax: 1_000_000n, bytes: 5_000n, entries: 5, ttlMs: 600_000 });
    expect((said?.cache?.hitsPerSecond ?? 0) / (said?.cache?.missesPerSecond ?? 1)).toBeCloseTo(4, 9);
    await reporter.stop();
    expect(await pass(5_000)).toEqual([]);
  });
});
