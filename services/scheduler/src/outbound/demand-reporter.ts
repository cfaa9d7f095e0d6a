import type { MessageInitShape } from '@bufbuild/protobuf';
import { subject } from '@meridian/contracts';
import type { DemandReportSchema } from '@meridian/contracts/telemetry';
import type { MessageBus } from '@meridian/messaging';
import { isRoundTripStep } from '@meridian/placement';
import type { Clock, Component, Timer } from '@meridian/runtime';
import type { CacheMeter } from '../cache/cache-meter.ts';
import type { ResultCache } from '../cache/result-cache.ts';
import { shownPixels } from '../payload/shown-pixels.ts';
import type { DemandMeter, SourceRate } from '../placement/demand.ts';
import type { LinkBandwidths } from '../placement/link-bandwidth.ts';
import type { RegionView } from '../placement/region-view.ts';
import type { ServiceVariations } from '../placement/service-variation.ts';
import { nextMeasuredMs } from './load-reporter.ts';

export interface DemandReporterOptions {
  readonly bus: MessageBus;
  readonly region: string;
  readonly regions: ReadonlyMap<string, RegionView>;
  readonly meter: DemandMeter;
  readonly bandwidths: LinkBandwidths;
  readonly variations: ServiceVariations;
  readonly clock: Clock;
  /** Regions in which a model is ready, members only; with an empty digest all members. */
  readonly readyRegions: (modelDigest: string) => ReadonlySet<string>;
  /** As the registry has it. */
  readonly manifestOf: (modelDigest: string) => unknown;
  /** Where large pictures are scaled. */
  readonly cutter: { readonly aheadMs: number; readonly shrinkMsPerMegapixel: number };
  /** undefined: turned off. */
  readonly cache: CacheFacts | undefined;
}

export interface CacheFacts {
  readonly cache: Pick<ResultCache, 'bytes' | 'size'>;
  readonly meter: CacheMeter;
  readonly bytesMax: number;
  readonly ttlMs: number;
}

const REPORT_INTERVAL_MS = 1_000;
/** How soon a region that is reached no more, or again, is told of. */
const LOOK_INTERVAL_MS = 100;
const SERVICE_TIMES_MAX = 512;

/**
 * Tells the optimizers what this scheduler's callers ask for, how it reaches the regions, and how long their workers take.
 *
 * 1. A report goes out once a second, and at once when the set of regions that answer has changed, or a round trip.
 * 2. A region that does not answer has no link in it: nothing can be placed there from here.
 */
export class DemandReporter implements Component {
  readonly name = 'demand reporter';
  readonly #o: DemandReporterOptions;
  #timer: Timer | undefined;
  #tickedMs = Number.NEGATIVE_INFINITY;
  #measuredMs = 0;
  /** Round trips of the last report. */
  #told: ReadonlyMap<string, number> = new Map();

  constructor(options: DemandReporterOptions) {
    this.#o = options;
  }

  /** Not before the first pings had time to be answered: until then nobody seems to be reached. */
  start(): Promise<void> {
    this.#timer = this.#o.clock.setTimer(REPORT_INTERVAL_MS, () => this.#look());
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#timer?.cancel();
    return Promise.resolve();
  }

  #look(): void {
    const { clock, meter, cache } = this.#o;
    const nowMs = clock.monotonicMs();
    const isDue = nowMs - this.#tickedMs >= REPORT_INTERVAL_MS;
    const links = this.#links();
    if (isDue) {
      this.#tickedMs = nowMs;
      meter.tick(nowMs);
      cache?.meter.tick(nowMs);
    }
    if (isDue || isStep(this.#told, links)) this.#publish(links);
    this.#timer = clock.setTimer(LOOK_INTERVAL_MS, () => this.#look());
  }

  /** Round trips of the regions that answer, by name. */
  #links(): Map<string, number> {
    const { region, regions } = this.#o;
    const up = [...regions].filter(([name, view]) => name !== region && view.health === 'up');
    return new Map(up.map(([name, { roundTripMs }]) => [name, roundTripMs]));
  }

  #publish(links: ReadonlyMap<string, number>): void {
    const { bus, region, meter, bandwidths, cutter, clock } = this.#o;
    this.#told = links;
    this.#measuredMs = nextMeasuredMs(this.#measuredMs, clock.nowMs());
    const nowMs = clock.monotonicMs();
    const data: MessageInitShape<typeof DemandReportSchema> = {
      region,
      measuredUnixMs: BigInt(this.#measuredMs),
      sources: meter.sources.map((source) => this.#source(source)),
      links: Array.from(links, ([name, roundTripMs]) => {
        const { mbps, transfers } = bandwidths.estimate(name, nowMs);
        return { region: name, roundTripMs, bandwidthMbps: mbps, transfers };
      }),
      serviceTimes: this.#serviceTimes(),
      unlistedTasksPerSecond: meter.unlistedPerSecond,
      downscaleMsPerMegapixel: cutter.shrinkMsPerMegapixel,
      downscaleAheadMs: cutter.aheadMs,
      ...this.#cache(),
    };
    bus.publish(subject('demand', { origin: region }), { type: 'meridian.telemetry.demand.v1', data });
  }

  #source({ allowed, ...source }: SourceRate) {
    const ready = this.#o.readyRegions(source.modelDigest);
    const runnable = [...ready].filter((name) => allowed?.has(name) ?? true);
    return {
      ...source,
      restricted: allowed !== undefined,
      allowedRegions: [...(allowed ?? [])].sort(),
      runnableRegions: runnable.sort(),
      modelPixels: source.modelDigest === '' ? 0 : shownPixels(this.#o.manifestOf(source.modelDigest)),
    };
  }

  #cache() {
    const { cache: facts } = this.#o;
    if (facts === undefined) return {};
    const { cache, meter, bytesMax, ttlMs } = facts;
    const sizes = { bytesMax: BigInt(bytesMax), bytes: BigInt(cache.bytes), entries: cache.size, ttlMs };
    return { cache: { ...sizes, ...meter.rates } };
  }

  #serviceTimes() {
    const all = [...this.#o.regions].flatMap(([name, view]) =>
      Array.from(view.processing, ([modelDigest, serviceMs]) => ({
        ...{ region: name, modelDigest, serviceMs },
        ...this.#o.variations.of(name, modelDigest),
      })),
    );
    return all.slice(0, SERVICE_TIMES_MAX);
  }
}

function isStep(told: ReadonlyMap<string, number>, links: ReadonlyMap<string, number>): boolean {
  if (told.size !== links.size) return true;
  for (const [name, roundTripMs] of links) {
    const before = told.get(name);
    if (before === undefined || isRoundTripStep(before, roundTripMs)) return true;
  }
  return false;
}
