import type { DemandFacts, LoadFacts } from '../reports/facts.ts';

/** How fast regions work and what tasks cost, by what was measured. */
export interface ServiceModel {
  /** Worker-seconds of the reference model for one task of a model; by what its manifest says where nobody has measured it. */
  costOf(modelDigest: string, expectedServiceMs: number): number;
  /** Reference workers that one worker of the region is. */
  speedOf(region: string): number;
}

/** A microsecond of the reference worker, and what no task takes: what a plan accepts. */
const COST_MIN = 1e-6;
const COST_MAX = 1e6;

/**
 * Service time = cost of the model ÷ speed of the region. Regions measure service times; speeds are configured, and not
 * always true: a region that is slower today than its file says takes longer for everything.
 *
 * 1. Cost of a model: median over the regions that measured it of service time × configured speed of a worker.
 * 2. Speed of a region: median over the models in demand that were measured there of cost ÷ service time; the configured one
 *    where none was. So what a region is planned to run in a second is what it was seen to run, and regions and models that
 *    nobody has measured are as configured.
 *
 * Medians, so that one region that is wrong about itself does not change what tasks cost elsewhere. A region's own word about
 * its service times counts before what others saw of it.
 *
 * @param loads regions with workers
 * @param inDemand digests of the models that are asked for
 */
export function serviceModel(
  loads: readonly LoadFacts[],
  demands: readonly DemandFacts[],
  inDemand: ReadonlySet<string>,
): ServiceModel {
  const configured = new Map(loads.map(({ region, capacity, workers }) => [region, capacity / workers]));
  const measured = measuredTimes(loads, demands, inDemand);
  const costs = new Map<string, number>();
  for (const digest of [...inDemand].sort()) {
    const products = [...measured].flatMap(([region, times]) => {
      const ms = times.get(digest);
      return ms === undefined ? [] : [(ms / 1_000) * (configured.get(region) as number)];
    });
    if (products.length > 0) costs.set(digest, clamp(median(products), COST_MIN, COST_MAX));
  }
  const speeds = new Map<string, number>();
  for (const [region, times] of measured) {
    const ratios = [...times].map(([digest, ms]) => (costs.get(digest) as number) / (ms / 1_000));
    if (ratios.length > 0) speeds.set(region, median(ratios));
  }
  return {
    costOf: (digest, expectedServiceMs) => costs.get(digest) ?? expectedServiceMs / 1_000,
    speedOf: (region) => speeds.get(region) ?? configured.get(region) ?? 0,
  };
}

/** Service times by region and model, both in the order of their names; of models in demand only. */
function measuredTimes(
  loads: readonly LoadFacts[],
  demands: readonly DemandFacts[],
  inDemand: ReadonlySet<string>,
): Map<string, ReadonlyMap<string, number>> {
  const seen = new Map<string, number[]>();
  for (const { services } of demands)
    for (const { region, modelDigest, serviceMs } of services) {
      const key = `${region} ${modelDigest}`;
      seen.set(key, [...(seen.get(key) ?? []), serviceMs]);
    }
  const digests = [...inDemand].sort();
  const sorted = [...loads].sort((a, b) => (a.region < b.region ? -1 : 1));
  return new Map(
    sorted.map(({ region, serviceMs }) => {
      const times = digests.flatMap((digest): [string, number][] => {
        const others = seen.get(`${region} ${digest}`);
        const ms = serviceMs.get(digest) ?? (others && median(others));
        return ms === undefined ? [] : [[digest, ms]];
      });
      return [region, new Map(times)];
    }),
  );
}

/** Of an even count the mean of the two in the middle. */
function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [(sorted.length - 1) >> 1, sorted.length >> 1];
  return ((sorted[low] as number) + (sorted[high] as number)) / 2;
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(Math.max(value, min), max);
}
