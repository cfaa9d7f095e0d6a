import { SIX, type SimulatedRegion } from './world-regions.ts';

/** Regions, the ways between them, their demand and their workers over time. */
export interface Scenario {
  readonly name: string;
  readonly regions: readonly SimulatedRegion[];
  /** All round trips of a task from an origin to a region and back, ms; by number. */
  readonly roundTripMs: (origin: number, region: number) => number;
  /** Of a task, anywhere, ms. */
  readonly meanServiceMs: number;
  /** Standard deviation ÷ mean of the lognormal service time. */
  readonly serviceCv: number;
  /** Part of the mean service time that is in proportion to the size of the picture, which an origin knows; 0 … 1. */
  readonly sizePart: number;
  readonly durationMs: number;
  /** Tasks a second that begin in a region. */
  readonly demand: (region: number, timeMs: number) => number;
  /** Highest value of `demand` over all times. */
  readonly demandMax: (region: number) => number;
  /** Workers of a region; never more than it has. */
  readonly workers: (region: number, timeMs: number) => number;
}

/** The five that every figure is given for; an outage is beside them. */
export const MEASURED_SCENARIOS = ['calm', 'sun', 'hot', 'flash', 'brownout'] as const;
export const SCENARIO_NAMES = [...MEASURED_SCENARIOS, 'outage'] as const;
export type ScenarioName = (typeof SCENARIO_NAMES)[number];

/** What makes a day. */
export interface Shape {
  /** Mean demand ÷ what all workers can do. */
  readonly utilization: number;
  /** Of the daily wave, which goes round the world with the sun; 0 … 1. */
  readonly amplitude: number;
  readonly events: readonly DayEvent[];
}

/** While it lasts, a region has more demand or fewer workers. */
export interface DayEvent {
  readonly region: number;
  /** Parts of the day. */
  readonly from: number;
  readonly until: number;
  readonly demandFactor: number;
  /** Of its workers, rounded. */
  readonly workersFactor: number;
}

export const DAY_MS = 300_000;
const MEAN_SERVICE_MS = 30;
const SERVICE_CV = 0.8;

/** A named day for these regions, with round trips from their coordinates. */
export function scenario(name: ScenarioName, regions: readonly SimulatedRegion[] = SIX): Scenario {
  const days = {
    name,
    regions,
    roundTripMs: roundTrips(regions),
    meanServiceMs: MEAN_SERVICE_MS,
    serviceCv: SERVICE_CV,
    sizePart: 0,
    durationMs: DAY_MS,
  };
  return shaped(days, shapeOf(name, regions));
}

/** All in the middle of the day: a flash where most users are; a brownout or an outage where most workers are. */
export function shapeOf(name: ScenarioName, regions: readonly SimulatedRegion[]): Shape {
  const crowded = greatest(regions, ({ weight }) => weight);
  const largest = greatest(regions, ({ workers }) => workers);
  const event = { demandFactor: 1, workersFactor: 1 };
  switch (name) {
    case 'calm':
      return { utilization: 0.55, amplitude: 0.5, events: [] };
    case 'sun':
      return { utilization: 0.7, amplitude: 0.8, events: [] };
    case 'hot':
      return { utilization: 0.85, amplitude: 0.8, events: [] };
    case 'flash': {
      const flash = { ...event, region: crowded, from: 0.45, until: 0.55, demandFactor: 3 };
      return { utilization: 0.6, amplitude: 0.5, events: [flash] };
    }
    case 'brownout': {
      const brownout = { ...event, region: largest, from: 0.4, until: 0.6, workersFactor: 0.4 };
      return { utilization: 0.6, amplitude: 0.5, events: [brownout] };
    }
    case 'outage': {
      const outage = { ...event, region: largest, from: 0.4, until: 0.6, workersFactor: 0 };
      return { utilization: 0.6, amplitude: 0.5, events: [outage] };
    }
  }
}

/** Adds demand and workers over time. Its demand is `utilization` of all workers on average, without the events. */
export function shaped(
  fixed: Omit<Scenario, 'demand' | 'demandMax' | 'workers'>,
  { utilization, amplitude, events }: Shape,
): Scenario {
  const { regions, meanServiceMs } = fixed;
  const workers = regions.reduce((sum, region) => sum + region.workers, 0);
  const weights = regions.reduce((sum, region) => sum + region.weight, 0);
  const base = regions.map(({ weight }) => (((utilization * workers * 1_000) / meanServiceMs) * weight) / weights);
  const striking = regions.map((_, region) => events.filter((event) => event.region === region));
  const during = (region: number, timeMs: number) => {
    const part = (timeMs % DAY_MS) / DAY_MS;
    return striking[region]?.find(({ from, until }) => part >= from && part < until);
  };
  return {
    ...fixed,
    demand: (region, timeMs) => {
      const turns = timeMs / DAY_MS + (regions[region]?.longitude ?? 0) / 360;
      const wave = 1 + amplitude * Math.sin(2 * Math.PI * turns);
      return (base[region] ?? 0) * wave * (during(region, timeMs)?.demandFactor ?? 1);
    },
    demandMax: (region) =>
      (base[region] ?? 0) *
      (1 + amplitude) *
      Math.max(1, ...(striking[region] ?? []).map(({ demandFactor }) => demandFactor)),
    workers: (region, timeMs) =>
      Math.round((regions[region]?.workers ?? 0) * (during(region, timeMs)?.workersFactor ?? 1)),
  };
}

/** 4 ms + the way of light through fibre along the great circle, a quarter longer; 2 ms at home. */
export function roundTrips(regions: readonly SimulatedRegion[]): (origin: number, region: number) => number {
  return (origin, region) => {
    const [a, b] = [regions[origin], regions[region]];
    return a === undefined || b === undefined || origin === region
      ? HOME_MS
      : 4 + (kilometers(a, b) / 100) * MS_PER_100_KM;
  };
}

/** What a task spends on its way when it goes `times` to another region and back; at home it is one way, whatever it takes. */
export function tripsOfTask(once: Scenario['roundTripMs'], times: number): Scenario['roundTripMs'] {
  return (origin, region) => (origin === region ? 1 : times) * once(origin, region);
}

/** Inside a region. */
export const HOME_MS = 2;
const MS_PER_100_KM = 1.25;
const EARTH_RADIUS_KM = 6_371;

function kilometers(a: SimulatedRegion, b: SimulatedRegion): number {
  const [latA, latB] = [radians(a.latitude), radians(b.latitude)];
  const haversine =
    Math.sin((latB - latA) / 2) ** 2 +
    Math.cos(latA) * Math.cos(latB) * Math.sin(radians(b.longitude - a.longitude) / 2) ** 2;
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.sqrt(haversine));
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}

function greatest(regions: readonly SimulatedRegion[], value: (region: SimulatedRegion) => number): number {
  const values = regions.map(value);
  return values.indexOf(Math.max(...values));
}
