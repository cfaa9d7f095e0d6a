import type { DemandFacts, LoadFacts, Refusal } from './facts.ts';

/** Without a newer report for this long a region is no target, and a scheduler's callers ask for nothing. */
export const REPORT_AGE_MAX_MS = 3_000;
/** As the bus refuses messages of a clock that is further ahead. */
const AHEAD_MAX_MS = 1_000;
/** A report that seems this much older than the last one comes from a clock that was set back, not from the past. */
const CLOCK_STEP_MS = 2_000;
/** Schedulers of one region that are told apart. */
const REPORTERS_MAX = 16;

interface Heard<F> {
  readonly facts: F;
  /** Monotonic. */
  heardMs: number;
}

/** The fresh reports of one region. */
export interface RegionReports {
  readonly region: string;
  /** The latest of any of its schedulers. */
  readonly load: LoadFacts | undefined;
  readonly loadAgeMs: number;
  /** One of each scheduler, in the order of their names. */
  readonly demands: readonly DemandFacts[];
  /** Of the oldest of them. */
  readonly demandAgeMs: number;
}

/**
 * The last report of each scheduler of each region.
 *
 * 1. A report that was measured more than REPORT_AGE_MAX_MS ago, by a clock ahead of ours, or not later than the last one
 *    of the same scheduler changes nothing.
 * 2. A report counts until REPORT_AGE_MAX_MS after it was heard.
 * 3. At most REPORTERS_MAX schedulers of a region are held.
 */
export class ReportDesk {
  readonly #regions: readonly string[];
  readonly #loads = new Map<string, Map<string, Heard<LoadFacts>>>();
  readonly #demands = new Map<string, Map<string, Heard<DemandFacts>>>();

  /** @param regions of the topology, in its order */
  constructor(regions: readonly string[]) {
    this.#regions = regions;
  }

  /**
   * @param reporter the scheduler
   * @param now wall for the age of the measurement, monotonic for what follows from it
   * @returns why it changes nothing; undefined when it counts
   */
  load(reporter: string, facts: LoadFacts, now: Now): Refusal | undefined {
    return take(this.#loads, reporter, facts, now);
  }

  demand(reporter: string, facts: DemandFacts, now: Now): Refusal | undefined {
    return take(this.#demands, reporter, facts, now);
  }

  /** Of all regions of the topology, in its order. @param nowMs monotonic */
  fresh(nowMs: number): RegionReports[] {
    return this.#regions.map((region) => {
      const loads = freshOf(this.#loads.get(region), nowMs);
      const demands = freshOf(this.#demands.get(region), nowMs);
      const latest = loads.reduce<Heard<LoadFacts> | undefined>(
        (best, one) => (best === undefined || one.facts.measuredMs > best.facts.measuredMs ? one : best),
        undefined,
      );
      return {
        region,
        load: latest?.facts,
        loadAgeMs: latest === undefined ? 0 : nowMs - latest.heardMs,
        demands: demands.map(({ facts }) => facts),
        demandAgeMs: demands.reduce((oldest, { heardMs }) => Math.max(oldest, nowMs - heardMs), 0),
      };
    });
  }

  /** Time in which this process could not listen does not count as silence. */
  excuse(deafMs: number): void {
    for (const reports of [this.#loads, this.#demands])
      for (const ofRegion of reports.values()) for (const heard of ofRegion.values()) heard.heardMs += deafMs;
  }
}

export interface Now {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

function take<F extends LoadFacts | DemandFacts>(
  all: Map<string, Map<string, Heard<F>>>,
  reporter: string,
  facts: F,
  { wallMs, monotonicMs }: Now,
): Refusal | undefined {
  const { region, measuredMs } = facts;
  if (measuredMs < wallMs - REPORT_AGE_MAX_MS) return 'stale';
  if (measuredMs > wallMs + AHEAD_MAX_MS) return 'ahead';
  const ofRegion = all.get(region) ?? new Map<string, Heard<F>>();
  const last = ofRegion.get(reporter);
  if (last !== undefined && measuredMs <= last.facts.measuredMs && measuredMs > last.facts.measuredMs - CLOCK_STEP_MS)
    return 'old';
  for (const [name, { heardMs }] of ofRegion)
    if (monotonicMs - heardMs >= REPORT_AGE_MAX_MS && name !== reporter) ofRegion.delete(name);
  if (last === undefined && ofRegion.size >= REPORTERS_MAX) return 'too-many';
  ofRegion.set(reporter, { facts, heardMs: monotonicMs });
  all.set(region, ofRegion);
  return undefined;
}

/** By the names of the schedulers. */
function freshOf<F>(ofRegion: ReadonlyMap<string, Heard<F>> | undefined, nowMs: number): Heard<F>[] {
  const fresh = [...(ofRegion ?? [])].filter(([, { heardMs }]) => nowMs - heardMs < REPORT_AGE_MAX_MS);
  return fresh.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, heard]) => heard);
}
