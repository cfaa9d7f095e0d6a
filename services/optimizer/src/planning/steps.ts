import { isRoundTripStep } from '@meridian/placement';
import type { RegionReports } from '../reports/report-desk.ts';
import { leftOut } from './targets.ts';

/** What a plan must not wait for its interval for, when it changes. */
export interface Conditions {
  /** Who runs, who asks, and over which links. */
  readonly topology: string;
  readonly capacity: string;
  readonly roundTripsMs: ReadonlyMap<string, number>;
}

export type Step = 'start' | 'topology' | 'capacity' | 'round-trip';

export function conditionsOf(reports: readonly RegionReports[], own: string): Conditions {
  const out = leftOut(reports, own);
  const counted = reports.filter(({ region }) => out.get(region) !== 'unreached');
  const roundTripsMs = new Map<string, number>();
  for (const { region, demands } of counted)
    for (const { links } of demands)
      for (const [to, { roundTripMs }] of links) roundTripsMs.set(`${region}>${to}`, roundTripMs);
  const askers = counted.filter(({ demands }) => demands.length > 0).map(({ region }) => region);
  const targets = counted.filter(({ region }) => out.get(region) === undefined);
  return {
    topology: JSON.stringify([targets.map(({ region }) => region), askers, [...roundTripsMs.keys()].sort()]),
    capacity: JSON.stringify(targets.map(({ load }) => [load?.capacity, load?.workers])),
    roundTripsMs,
  };
}

/** @param before those of the last plan */
export function stepOf(before: Conditions | undefined, now: Conditions): Step | undefined {
  if (before === undefined) return 'start';
  if (before.topology !== now.topology) return 'topology';
  if (before.capacity !== now.capacity) return 'capacity';
  for (const [link, roundTripMs] of now.roundTripsMs) {
    const was = before.roundTripsMs.get(link);
    if (was !== undefined && isRoundTripStep(was, roundTripMs)) return 'round-trip';
  }
  return undefined;
}
