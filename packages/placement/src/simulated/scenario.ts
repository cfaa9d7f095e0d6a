/** Regions, their demand and their workers over time. */
export interface Scenario {
  readonly name: string;
  readonly regions: readonly SimulatedRegion[];
  /** Of a task, anywhere, ms. */
  readonly meanServiceMs: number;
  /** Standard deviation ÷ mean of the lognormal service time. */
  readonly serviceCv: number;
  readonly durationMs: number;
  /** Tasks a second that begin in a region. */
  readonly demand: (region: number, timeMs: number) => number;
  /** Highest value of `demand` over all times. */
  readonly demandMax: (region: number) => number;
  /** Workers of a region; never more than it has. */
  readonly workers: (region: number, timeMs: number) => number;
}

export interface SimulatedRegion {
  readonly name: string;
  readonly latitude: number;
  readonly longitude: number;
  readonly workers: number;
  /** Relative demand of its users. */
  readonly weight: number;
}

/** Six regions around the world; how big and how busy is from ../../../../docs/placement.md. */
export const SIX: readonly SimulatedRegion[] = [
  { name: 'us-west', latitude: 37.35, longitude: -121.96, workers: 20, weight: 1 },
  { name: 'us-east', latitude: 38.95, longitude: -77.45, workers: 24, weight: 1.3 },
  { name: 'sa-east', latitude: -23.55, longitude: -46.63, workers: 8, weight: 0.6 },
  { name: 'eu-west', latitude: 53.35, longitude: -6.26, workers: 24, weight: 1.4 },
  { name: 'ap-south', latitude: 19.08, longitude: 72.88, workers: 12, weight: 1.2 },
  { name: 'ap-northeast', latitude: 35.68, longitude: 139.69, workers: 16, weight: 1 },
];

export const SCENARIO_NAMES = ['calm', 'sun', 'hot', 'flash', 'brownout'] as const;
export type ScenarioName = (typeof SCENARIO_NAMES)[number];

interface Shape {
  /** Demand ÷ what all workers can do, on average. */
  readonly use: number;
  /** Of the daily wave, 0 … 1. */
  readonly amplitude: number;
}

const SHAPES: Readonly<Record<ScenarioName, Shape>> = {
  calm: { use: 0.55, amplitude: 0.5 },
  sun: { use: 0.7, amplitude: 0.8 },
  hot: { use: 0.85, amplitude: 0.8 },
  flash: { use: 0.6, amplitude: 0.5 },
  brownout: { use: 0.6, amplitude: 0.5 },
};

const DAY_MS = 300_000;
const MEAN_SERVICE_MS = 30;
/** Of the day. */
const FLASH = { from: 0.4, until: 0.5, factor: 3 };
const BROWNOUT = { from: 0.4, until: 0.6, part: 0.4 };
/** Which region has the flash or the brownout: one that users live in and others are not near to. */
const STRUCK = 3;

export function scenario(name: ScenarioName, regions: readonly SimulatedRegion[] = SIX, durationMs = DAY_MS): Scenario {
  const { use, amplitude } = SHAPES[name];
  const workers = regions.reduce((sum, region) => sum + region.workers, 0);
  const weights = regions.reduce((sum, region) => sum + region.weight, 0);
  const total = (use * workers * 1_000) / MEAN_SERVICE_MS;
  const struck = Math.min(STRUCK, regions.length - 1);
  const during = ({ from, until }: { from: number; until: number }, timeMs: number) => {
    const part = (timeMs % DAY_MS) / DAY_MS;
    return part >= from && part < until;
  };
  const factor = (region: number, timeMs: number) =>
    name === 'flash' && region === struck && during(FLASH, timeMs) ? FLASH.factor : 1;
  const base = (region: number) => (total * (regions[region]?.weight ?? 0)) / weights;
  return {
    name,
    regions,
    meanServiceMs: MEAN_SERVICE_MS,
    serviceCv: 0.8,
    durationMs,
    demand: (region, timeMs) => {
      const turns = timeMs / DAY_MS + (regions[region]?.longitude ?? 0) / 360;
      return base(region) * (1 + amplitude * Math.cos(2 * Math.PI * turns)) * factor(region, timeMs);
    },
    demandMax: (region) => base(region) * (1 + amplitude) * (name === 'flash' && region === struck ? FLASH.factor : 1),
    workers: (region, timeMs) => {
      const all = regions[region]?.workers ?? 0;
      return name === 'brownout' && region === struck && during(BROWNOUT, timeMs)
        ? Math.round(all * BROWNOUT.part)
        : all;
    },
  };
}

/** 4 ms + the way of light through fibre along the great circle, a quarter longer; 2 ms at home. */
export function roundTripMs(a: SimulatedRegion, b: SimulatedRegion): number {
  if (a === b) return 2;
  const [latA, latB] = [radians(a.latitude), radians(b.latitude)];
  const haversine =
    Math.sin((latB - latA) / 2) ** 2 +
    Math.cos(latA) * Math.cos(latB) * Math.sin(radians(b.longitude - a.longitude) / 2) ** 2;
  const km = 2 * EARTH_RADIUS_KM * Math.asin(Math.sqrt(haversine));
  return 4 + (km / 100) * 1.25;
}

const EARTH_RADIUS_KM = 6_371;

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}
