import { PRIORITY_CLASSES, type PriorityClassName } from '@meridian/contracts';
import type {
  ClaimsAhead,
  DemandReport,
  LoadReport,
  ResultCacheLoad,
  SourceDemand,
} from '@meridian/contracts/telemetry';
import type {
  AheadFacts,
  CacheFacts,
  DemandFacts,
  LinkFacts,
  LoadFacts,
  Refusal,
  ServiceFacts,
  SourceFacts,
} from './facts.ts';

/** What a report is, or why it is none. Entries about regions that are not known here are left out and told of. */
export type Reading<F> = { readonly facts: F; readonly unknown: number } | { readonly refusal: Refusal };

/** Capacity, price and tasks a second beyond this are nobody's. */
const NUMBER_MAX = 1e6;
const WORKERS_MAX = 10_000;
const SERVICE_MAX_MS = 600_000;
/** Of one worker: the most that one can be configured to take. */
const CLAIMS_AHEAD_MAX = 1_024;
const ROUND_TRIP_MAX_MS = 60_000;
const BANDWIDTH_MAX_MBPS = 1e6;
/** A link with less is none. */
const BANDWIDTH_MIN_MBPS = 1e-3;
const VARIATION_MAX = 100;
const PICTURE_BYTES_MAX = 2 ** 30;
/** More than any decoder takes. */
const PIXELS_MAX = 1e9;
/** For a megapixel; and what waits for it. */
const DOWNSCALE_MAX_MS = 600_000;
const CACHE_BYTES_MAX = 2 ** 50;
const CACHE_TTL_MAX_MS = 1e10;
const SOURCES_MAX = 128;
const MODELS_MAX = 64;
const SERVICES_MAX = 512;
const NAME_CHARS_MAX = 63;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/**
 * @param origin region of the one who sent it
 * @param known regions of the topology
 */
export function readLoad(report: LoadReport, origin: string, known: ReadonlySet<string>): Reading<LoadFacts> {
  const { region, capacity, price, workers, slots, outstanding, models, measuredUnixMs, claimsAhead } = report;
  if (region !== origin || !known.has(region)) return { refusal: 'region' };
  if (models.length > MODELS_MAX) return { refusal: 'too-many' };
  if (!within(capacity, 0, NUMBER_MAX) || !within(price, 0, NUMBER_MAX)) return { refusal: 'number' };
  if (slots > WORKERS_MAX || workers > WORKERS_MAX) return { refusal: 'number' };
  if (claimsAhead !== undefined && !isPossibleAhead(claimsAhead)) return { refusal: 'number' };
  // 0 is what a region says of a model that it has not measured.
  if (!models.every(({ serviceMs }) => within(serviceMs, 0, SERVICE_MAX_MS))) return { refusal: 'number' };
  if (!models.every(({ modelDigest }) => DIGEST.test(modelDigest))) return { refusal: 'text' };
  const measured = models.filter(({ serviceMs }) => serviceMs > 0);
  const facts = {
    ...{ region, capacity, outstanding, priceMs: price, measuredMs: Number(measuredUnixMs) },
    workers: workers === 0 ? 0 : slots || workers,
    serviceMs: new Map(measured.map(({ modelDigest, serviceMs }) => [modelDigest, serviceMs])),
    ahead: claimsAhead && aheadOf(claimsAhead),
  };
  return { facts, unknown: 0 };
}

/** The same for what a scheduler says of its callers. */
export function readDemand(report: DemandReport, origin: string, known: ReadonlySet<string>): Reading<DemandFacts> {
  const { region, sources, links, serviceTimes, unlistedTasksPerSecond, measuredUnixMs, cache } = report;
  if (region !== origin || !known.has(region)) return { refusal: 'region' };
  if (sources.length > SOURCES_MAX || links.length > known.size || serviceTimes.length > SERVICES_MAX)
    return { refusal: 'too-many' };
  const isTrue =
    sources.every(isPossibleSource) &&
    links.every(isPossibleLink) &&
    serviceTimes.every(isPossibleService) &&
    within(unlistedTasksPerSecond, 0, NUMBER_MAX) &&
    within(report.downscaleMsPerMegapixel, 0, DOWNSCALE_MAX_MS) &&
    within(report.downscaleAheadMs, 0, DOWNSCALE_MAX_MS) &&
    (cache === undefined || isPossibleCache(cache));
  if (!isTrue) return { refusal: 'number' };
  if (!sources.every(isReadableSource) || !serviceTimes.every(({ modelDigest }) => DIGEST.test(modelDigest)))
    return { refusal: 'text' };
  const [ways, services] = [linksOf(report, known), servicesOf(report, known)];
  const facts = {
    ...{ region, measuredMs: Number(measuredUnixMs), unlistedPerSecond: unlistedTasksPerSecond },
    cache: cache && cacheOf(cache),
    ...{ sources: sources.map((source) => sourceOf(source, report, known)), links: ways, services },
  };
  return { facts, unknown: links.length - ways.size + serviceTimes.length - services.length };
}

function linksOf({ region, links }: DemandReport, known: ReadonlySet<string>): ReadonlyMap<string, LinkFacts> {
  const others = links.filter((link) => known.has(link.region) && link.region !== region);
  return new Map(
    others.map(({ region: to, roundTripMs, bandwidthMbps, transfers }) => [
      to,
      { roundTripMs, bandwidthMbps, transfers },
    ]),
  );
}

function servicesOf({ serviceTimes }: DemandReport, known: ReadonlySet<string>): readonly ServiceFacts[] {
  return serviceTimes.filter(({ region }) => known.has(region));
}

/** A name in a rule that is no region of ours allows nothing here. */
function sourceOf(source: SourceDemand, report: DemandReport, known: ReadonlySet<string>): SourceFacts {
  const { model, modelDigest, restricted, allowedRegions, tasksPerSecond, pictureBytes, expectedServiceMs } = source;
  const { picturePixels, modelPixels } = source;
  const named = (regions: readonly string[]) => [...new Set(regions)].filter((region) => known.has(region)).sort();
  const allowed = restricted ? named(allowedRegions) : undefined;
  return {
    ...{ model, modelDigest, tasksPerSecond, pictureBytes, expectedServiceMs, allowed },
    ...{ picturePixels, modelPixels, downscaleMs: downscaleMs(picturePixels, report) },
    priority: source.priority as PriorityClassName,
    runnable: named(source.runnableRegions).filter((region) => allowed?.includes(region) ?? true),
  };
}

/** As the scheduler reckons for one such picture. */
function downscaleMs(
  pixels: number,
  { downscaleMsPerMegapixel, downscaleAheadMs }: Pick<DemandReport, 'downscaleMsPerMegapixel' | 'downscaleAheadMs'>,
): number {
  return downscaleMsPerMegapixel === 0 ? 0 : downscaleAheadMs + (downscaleMsPerMegapixel * pixels) / 1e6;
}

function isPossibleSource(source: SourceDemand): boolean {
  const { tasksPerSecond, pictureBytes, expectedServiceMs, picturePixels, modelPixels, decodeMs } = source;
  return (
    within(tasksPerSecond, 0, NUMBER_MAX) &&
    within(pictureBytes, 0, PICTURE_BYTES_MAX) &&
    within(expectedServiceMs, 1e-3, SERVICE_MAX_MS) &&
    within(picturePixels, 0, PIXELS_MAX) &&
    within(modelPixels, 0, PIXELS_MAX) &&
    within(decodeMs, 0, SERVICE_MAX_MS)
  );
}

function isReadableSource({ priority, model, modelDigest }: SourceDemand): boolean {
  const isClass = PRIORITY_CLASSES.some((name) => name === priority);
  return isClass && model.length <= NAME_CHARS_MAX && (modelDigest === '' || DIGEST.test(modelDigest));
}

function isPossibleLink({ roundTripMs, bandwidthMbps }: LinkFacts): boolean {
  return within(roundTripMs, 0, ROUND_TRIP_MAX_MS) && within(bandwidthMbps, BANDWIDTH_MIN_MBPS, BANDWIDTH_MAX_MBPS);
}

function isPossibleService({ serviceMs, variation }: ServiceFacts): boolean {
  return within(serviceMs, Number.MIN_VALUE, SERVICE_MAX_MS) && within(variation, 0, VARIATION_MAX);
}

function isPossibleAhead({ workers, claims, fetchMs, serviceMs }: ClaimsAhead): boolean {
  return (
    within(workers, 1, WORKERS_MAX) &&
    within(claims, workers, workers * CLAIMS_AHEAD_MAX) &&
    within(fetchMs, 0, SERVICE_MAX_MS) &&
    within(serviceMs, 0, SERVICE_MAX_MS)
  );
}

function aheadOf({ workers, claims, fetchMs, serviceMs }: ClaimsAhead): AheadFacts {
  return { workers, claims, fetchMs, serviceMs };
}

function isPossibleCache({ bytesMax, bytes, ttlMs, ...cache }: ResultCacheLoad): boolean {
  return (
    within(Number(bytesMax), 0, CACHE_BYTES_MAX) &&
    within(Number(bytes), 0, CACHE_BYTES_MAX) &&
    within(ttlMs, 0, CACHE_TTL_MAX_MS) &&
    within(cache.hitsPerSecond, 0, NUMBER_MAX) &&
    within(cache.missesPerSecond, 0, NUMBER_MAX) &&
    within(cache.evictionsPerSecond, 0, NUMBER_MAX)
  );
}

function cacheOf({ bytesMax, bytes, ...cache }: ResultCacheLoad): CacheFacts {
  const { entries, ttlMs, hitsPerSecond, missesPerSecond, evictionsPerSecond } = cache;
  const rates = { hitsPerSecond, missesPerSecond, evictionsPerSecond };
  return { bytesMax: Number(bytesMax), bytes: Number(bytes), entries, ttlMs, ...rates };
}

/** Also false for what is not a number. */
function within(value: number, min: number, max: number): boolean {
  return value >= min && value <= max;
}
