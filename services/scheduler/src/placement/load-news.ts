import type { Load } from '@meridian/contracts/collector';
import type { LoadReport } from '@meridian/contracts/telemetry';

/** What a region says of itself. */
export interface LoadNews {
  /** Claims waiting in its queues or being worked on, or done and not yet acknowledged by their owners. */
  readonly outstanding: number;
  /** Of these, the ones that are done. */
  readonly settled?: number;
  readonly capacity: number;
  /** Milliseconds. */
  readonly price: number;
  readonly workers?: number;
  /** Pictures that its workers work on at a time; 0 when they do not say. */
  readonly slots?: number;
  /** Wall clock of the region; 0 from those who do not say. */
  readonly measuredMs?: number;
  readonly serviceMs?: ReadonlyMap<string, number>;
}

/** Capacity and price beyond this are nobody's: such a report is not believed. */
const NUMBER_MAX = 1e6;

/** @returns undefined for a report that cannot be true: negative, not a number, absurd. */
export function readReport(report: LoadReport): LoadNews | undefined {
  const news = readLoad(report);
  if (news === undefined) return undefined;
  const known = report.models.filter(({ serviceMs }) => serviceMs > 0 && serviceMs <= NUMBER_MAX);
  return { ...news, serviceMs: new Map(known.map((model) => [model.modelDigest, model.serviceMs])) };
}

/** The same for what rides on results and heartbeats. */
export function readLoad(load: Omit<Load, '$typeName' | '$unknown' | 'ageMs'>): LoadNews | undefined {
  const { outstanding, settled, capacity, price, workers, slots, measuredUnixMs } = load;
  if (!isPlausible(capacity) || !isPlausible(price)) return undefined;
  return { outstanding, settled, capacity, price, workers, slots, measuredMs: Number(measuredUnixMs) };
}

function isPlausible(value: number): boolean {
  return value >= 0 && value <= NUMBER_MAX;
}
