import {
  downscaledBytes,
  type PlanProblem,
  type PlanRegion,
  type PlanSource,
  STEERED_PART,
  TASK_ROUND_TRIPS,
  type Way,
} from '@meridian/placement';
import type { AheadFacts, CacheFacts, DemandFacts, LinkFacts, LoadFacts, SourceFacts } from '../reports/facts.ts';
import type { RegionReports } from '../reports/report-desk.ts';
import { type ServiceModel, serviceModel } from './service-model.ts';
import { type LeftOut, leftOut } from './targets.ts';
import { variationOf } from './variation.ts';

/** A source of the problem, and what is known of it beyond that. */
export interface PlannedDemand {
  readonly source: PlanSource;
  readonly facts: SourceFacts;
}

/** What a plan is made from. */
export interface PlanInputs {
  readonly problem: PlanProblem;
  /** In the order of the problem's sources. */
  readonly demands: readonly PlannedDemand[];
  readonly links: ReadonlyMap<string, ReadonlyMap<string, LinkFacts>>;
  readonly service: ServiceModel;
  readonly leftOut: ReadonlyMap<string, LeftOut | undefined>;
  /** Result caches, by region; of several schedulers of a region that of the first. */
  readonly caches: ReadonlyMap<string, CacheFacts>;
  /** Claims that workers take ahead, by region that can run tasks and has measured it. */
  readonly ahead: ReadonlyMap<string, AheadFacts>;
  /** Accepted tasks a second for which there was no room in the reports or in the problem. */
  readonly unlistedPerSecond: number;
}

/** Sources × regions. A plan is computed in one go, and nothing else of the process runs meanwhile. */
const PLAN_LANES_MAX = 20_000;
/** More than the fleets of all regions together have: what a plan accepts. */
const CAPACITY_MAX = 1e6;

/**
 * The placement problem of what the regions report. Only the reports and the name of the own region go in: who has the same
 * reports, and reaches the same regions, has the same problem.
 */
export function planInputs(reports: readonly RegionReports[], own: string): PlanInputs {
  const out = leftOut(reports, own);
  const counted = reports.filter(({ region }) => out.get(region) !== 'unreached');
  const loads = counted.flatMap(({ region, load }) =>
    load === undefined || out.get(region) !== undefined ? [] : [load],
  );
  const demands = counted.flatMap((each) => each.demands);
  const links = new Map(counted.map(({ region, demands: own }) => [region, linksOf(own)]));
  const inDemand = new Set(demands.flatMap(({ sources }) => sources.map(({ modelDigest }) => modelDigest)));
  inDemand.delete('');
  const service = serviceModel(loads, demands, inDemand);
  const { kept, rest } = largest(mergedDemands(counted, service), Math.floor(PLAN_LANES_MAX / reports.length));
  const unlisted = demands.reduce((sum, { unlistedPerSecond }) => sum + unlistedPerSecond, 0);
  const problem = {
    regions: loads.map((load) => planRegion(load, service, links)),
    sources: kept.map(({ source }) => source),
    way: (origin: string, region: string) => wayOf(links, origin, region),
    variation: variationOf(kept, demands),
    waitPart: STEERED_PART,
  };
  const caches = new Map(
    counted.flatMap(({ region, demands: own }): [string, CacheFacts][] => {
      const cache = own.find((each) => each.cache !== undefined)?.cache;
      return cache === undefined ? [] : [[region, cache]];
    }),
  );
  const ahead = new Map(loads.flatMap((load) => (load.ahead === undefined ? [] : [[load.region, load.ahead]])));
  return { problem, demands: kept, links, service, leftOut: out, caches, ahead, unlistedPerSecond: unlisted + rest };
}

/** Of a region's schedulers together: each link as the first of them that has it sees it. */
function linksOf(demands: readonly DemandFacts[]): ReadonlyMap<string, LinkFacts> {
  const links = new Map<string, LinkFacts>();
  for (const each of demands) for (const [region, link] of each.links) if (!links.has(region)) links.set(region, link);
  return new Map([...links].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function wayOf(links: PlanInputs['links'], origin: string, region: string): Way | undefined {
  if (origin === region) return { roundTripMs: 0, bandwidthMbps: Number.POSITIVE_INFINITY };
  const link = links.get(origin)?.get(region);
  return link && { roundTripMs: TASK_ROUND_TRIPS * link.roundTripMs, bandwidthMbps: link.bandwidthMbps };
}

/** What it can take from others together is what the others' links to it carry. */
function planRegion({ region, workers }: LoadFacts, service: ServiceModel, links: PlanInputs['links']): PlanRegion {
  let bandwidthMbps = 0;
  for (const [origin, ways] of links) if (origin !== region) bandwidthMbps += ways.get(region)?.bandwidthMbps ?? 0;
  const capacity = Math.min(service.speedOf(region) * workers, CAPACITY_MAX);
  return { name: region, capacity, workers, bandwidthMbps };
}

/** What the schedulers of one region say of the same source adds up. In the order of their keys. */
function mergedDemands(reports: readonly RegionReports[], service: ServiceModel): PlannedDemand[] {
  const merged = new Map<string, { origin: string; facts: SourceFacts }>();
  for (const { region: origin, demands } of reports)
    for (const { sources } of demands)
      for (const facts of sources) {
        if (facts.tasksPerSecond === 0) continue;
        const { modelDigest, priority, allowed, runnable } = facts;
        const key = JSON.stringify([origin, modelDigest, priority, allowed ?? null, runnable]);
        const before = merged.get(key);
        merged.set(key, { origin, facts: before === undefined ? facts : sumOf(before.facts, facts) });
      }
  const sorted = [...merged].sort(([a], [b]) => (a < b ? -1 : 1));
  return sorted.map(([, { origin, facts }]) => ({ source: planSource(origin, facts, service), facts }));
}

function sumOf(a: SourceFacts, b: SourceFacts): SourceFacts {
  const tasksPerSecond = a.tasksPerSecond + b.tasksPerSecond;
  const mean = (x: number, y: number) => (x * a.tasksPerSecond + y * b.tasksPerSecond) / tasksPerSecond;
  // 0 is what a scheduler says that has not had an answer yet.
  const known = (x: number, y: number) => (x === 0 || y === 0 ? x + y : mean(x, y));
  return {
    ...a,
    tasksPerSecond,
    pictureBytes: mean(a.pictureBytes, b.pictureBytes),
    expectedServiceMs: mean(a.expectedServiceMs, b.expectedServiceMs),
    picturePixels: known(a.picturePixels, b.picturePixels),
    downscaleMs: known(a.downscaleMs, b.downscaleMs),
  };
}

function planSource(origin: string, facts: SourceFacts, service: ServiceModel): PlanSource {
  const { modelDigest, priority, runnable, tasksPerSecond, pictureBytes, expectedServiceMs } = facts;
  return {
    ...{ origin, priority, tasksPerSecond, pictureBytes, model: modelDigest, allowed: new Set(runnable) },
    taskCost: service.costOf(modelDigest, expectedServiceMs),
    downscaling: downscalingOf(facts),
  };
}

/** As its schedulers would do it; undefined where that is never, or not known. */
function downscalingOf({
  pictureBytes,
  picturePixels,
  modelPixels,
  downscaleMs,
}: SourceFacts): PlanSource['downscaling'] {
  if (picturePixels < 1 || modelPixels < 1 || downscaleMs === 0) return undefined;
  const bytes = downscaledBytes(pictureBytes, picturePixels, modelPixels, 'downscaled-lossless');
  return bytes === 0 ? undefined : { bytes, takesMs: downscaleMs };
}

/** Those with the most work; of equal ones the first. @returns tasks a second of the others */
function largest(demands: readonly PlannedDemand[], count: number): { kept: PlannedDemand[]; rest: number } {
  if (demands.length <= count) return { kept: [...demands], rest: 0 };
  const work = ({ source }: PlannedDemand) => source.tasksPerSecond * source.taskCost;
  const byWork = [...demands.keys()].sort(
    (a, b) => work(demands[b] as PlannedDemand) - work(demands[a] as PlannedDemand) || a - b,
  );
  const chosen = new Set(byWork.slice(0, count));
  const rest = demands.filter((_, i) => !chosen.has(i)).reduce((sum, { source }) => sum + source.tasksPerSecond, 0);
  return { kept: demands.filter((_, i) => chosen.has(i)), rest };
}
