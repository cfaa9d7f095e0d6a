import type { RegionReports } from '../reports/report-desk.ts';

/** Why a region is no target. */
export type LeftOut = 'silent' | 'unreached' | 'no-workers';

/**
 * Which regions can run tasks, by the reports that are fresh.
 *
 * A region that the own region's schedulers get no answer from is out as a whole: what it still says of itself may be the
 * last that it said, and it is known sooner so than by its silence. Without a word of the own schedulers nobody is.
 * @returns by region; undefined: it counts
 */
export function leftOut(reports: readonly RegionReports[], own: string): Map<string, LeftOut | undefined> {
  const views = reports.find(({ region }) => region === own)?.demands ?? [];
  const isReached = (region: string) =>
    region === own || views.length === 0 || views.some(({ links }) => links.has(region));
  return new Map(
    reports.map(({ region, load }) => {
      if (!isReached(region)) return [region, 'unreached'];
      if (load === undefined) return [region, 'silent'];
      return [region, load.workers === 0 || load.capacity === 0 ? 'no-workers' : undefined];
    }),
  );
}
