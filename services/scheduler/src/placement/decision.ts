import type { Beliefs } from '@meridian/placement';
import type { Territory } from '@meridian/residency';
import type { RegionView } from './region-view.ts';

/** Why a region cannot take a task. The first is no reason; goes into explanations as it is. */
export const EXCLUSIONS = [
  '',
  'down',
  'suspect',
  'stale',
  'removed',
  'no-workers',
  'model-not-ready',
  'residency',
  'window',
  'just-failed',
] as const;
export type Exclusion = (typeof EXCLUSIONS)[number];

/**
 * Room for one decision at a time: what is believed of every region, and which of them may be taken. Made once and written
 * over by each decision, so that a placement allocates nothing for its candidates.
 */
export class Decision {
  readonly views: readonly RegionView[];
  readonly beliefs: Beliefs;
  /** What a task's round trips take together. */
  readonly roundTripsMs: Float64Array;
  /** Numbers of {@link EXCLUSIONS}. */
  readonly exclusions: Uint8Array;
  /** By which regions were excluded; undefined before the first decision. */
  territory: Territory | undefined;
  /** Number of the region that was taken; −1 for none. */
  winner = -1;

  constructor(views: Iterable<RegionView>) {
    this.views = [...views];
    const column = () => new Float64Array(this.views.length);
    this.beliefs = {
      ...{ wayMs: column(), serviceMs: column(), workers: column() },
      ...{ outstanding: column(), unseen: column(), priceMs: column() },
    };
    this.roundTripsMs = column();
    this.exclusions = new Uint8Array(this.views.length);
  }

  exclude(region: number, why: Exclusion): void {
    this.exclusions[region] = EXCLUSIONS.indexOf(why);
  }
}
