import {
  cheapest,
  costOf,
  expectedWaitMs,
  isWorthDownscaling,
  TASK_ROUND_TRIPS,
  WAIT_WEIGHT,
} from '@meridian/placement';
import type { Territory } from '@meridian/residency';
import type { Task } from '../tasks/task.ts';
import { type Decision, EXCLUSIONS, type Exclusion } from './decision.ts';
import type { RegionView } from './region-view.ts';
import type { PlacementWindow } from './window.ts';

export interface Choice {
  readonly region: string;
  readonly costMs: number;
  /** Until the result, if it is as believed: the cost without price and weight. */
  readonly expectedMs: number;
  /** A place is free there, and nothing is scarce. */
  readonly isUncontended: boolean;
}

/** A picture that may be scaled before it is sent. */
export interface Downscaling {
  /** Then, as expected. */
  readonly bytes: number;
  /** Until it is, ms. */
  readonly takesMs: number;
}

export interface ChoiceLimits {
  /** Regions in which the task's model is ready. */
  readonly readyRegions: ReadonlySet<string>;
  /** An operator has taken the region out of the system. */
  readonly isRemoved: (region: string) => boolean;
  readonly window: PlacementWindow;
  /** What the residency rules leave, by the tenant's record as it is now. */
  readonly territory: Territory;
  /** Of the task beside a usual one: it pays the price so many times. */
  readonly size?: number;
  /** undefined: the picture goes as it came, whatever the link. */
  readonly downscaling?: Downscaling | undefined;
}

/**
 * The region with the least round trips + transfer + service + size × price + WAIT_WEIGHT × wait, by the same code as the
 * simulation, among those that can take the task now: up, with fresh reports and workers, members, ready for the model,
 * allowed by the residency rules, with room in the window. Of these, one that the rules prefer is taken whatever it costs.
 * The region where it just failed is taken only when there is no other. Afterwards `decision` holds every term and every reason.
 * @returns undefined when there is none: the task waits.
 */
export function choose(task: Task, decision: Decision, limits: ChoiceLimits): Choice | undefined {
  const { beliefs, views } = decision;
  for (let i = 0; i < views.length; i++) {
    const view = views[i] as RegionView;
    decision.exclude(i, exclusionOf(task, view, limits));
    believe(decision, i, view, task, limits);
  }
  const { preferred } = limits.territory;
  decision.territory = limits.territory;
  decision.winner = -1;
  if (preferred.size > 0)
    decision.winner = cheapest(
      beliefs,
      (i) => decision.exclusions[i] === 0 && preferred.has((views[i] as RegionView).facts.name),
    );
  if (decision.winner < 0) decision.winner = cheapest(beliefs, (i) => decision.exclusions[i] === 0);
  if (decision.winner < 0) decision.winner = lastResort(task, decision);
  return choiceOf(decision);
}

function choiceOf({ beliefs, views, winner }: Decision): Choice | undefined {
  const view = views[winner];
  if (view === undefined) return undefined;
  const waitMs = expectedWaitMs(beliefs, winner);
  return {
    region: view.facts.name,
    costMs: costOf(beliefs, winner, WAIT_WEIGHT),
    expectedMs: (beliefs.wayMs[winner] as number) + (beliefs.serviceMs[winner] as number) + waitMs,
    isUncontended: waitMs === 0 && view.load.price === 0,
  };
}

const JUST_FAILED = EXCLUSIONS.indexOf('just-failed');

function exclusionOf({ work, state }: Task, view: RegionView, limits: ChoiceLimits): Exclusion {
  const { name } = view.facts;
  if (!limits.territory.allowed.has(name)) return 'residency';
  if (view.health !== 'up') return view.health;
  if (limits.isRemoved(name)) return 'removed';
  if (view.isStale) return 'stale';
  if (!view.hasWorkers) return 'no-workers';
  if (!limits.readyRegions.has(name)) return 'model-not-ready';
  const returning = state.kind === 'ready' && state.after !== undefined;
  if (!limits.window.allows(name, work.priority, returning)) return 'window';
  return state.kind === 'ready' && state.excludedRegion === name ? 'just-failed' : '';
}

function believe(
  decision: Decision,
  i: number,
  view: RegionView,
  task: Task,
  { window, size = 1, downscaling }: ChoiceLimits,
): void {
  const { beliefs, roundTripsMs } = decision;
  const { work, pictureBytes } = task;
  // What lets this task pass costs it nothing, and has no part in the price.
  const there = view.ahead;
  const ahead = window.ahead(view.facts.name, work.priority, there);
  const unseen = Math.min(ahead, Math.max(0, view.unseen));
  const tripsMs = TASK_ROUND_TRIPS * view.roundTripMs;
  roundTripsMs[i] = tripsMs;
  beliefs.wayMs[i] =
    tripsMs +
    (downscaling === undefined
      ? (pictureBytes * 8) / (view.facts.bandwidthMbps * 1000)
      : inFormMs(pictureBytes, downscaling, tripsMs, view.bandwidthMbps));
  beliefs.serviceMs[i] = view.serviceMs(work.modelDigest) ?? work.expectedServiceMs;
  beliefs.workers[i] = view.slots;
  beliefs.outstanding[i] = ahead - unseen;
  beliefs.unseen[i] = unseen;
  // As it counts for this task, so that an explanation adds up.
  beliefs.priceMs[i] = size * (ahead < there ? view.load.price * (ahead / there) : view.load.price);
}

/**
 * Transfer of a large picture in the form in which it will be sent, by the same rule: what does not travel costs nothing.
 * The bandwidth is the measured one, as small pictures hardly depend on it and say little of it.
 */
function inFormMs(bytes: number, { bytes: small, takesMs }: Downscaling, tripsMs: number, mbps: number): number {
  const isDownscaled = isWorthDownscaling(bytes, small, takesMs, tripsMs, mbps);
  return isDownscaled ? takesMs + (small * 8) / (mbps * 1000) : (bytes * 8) / (mbps * 1000);
}

function lastResort({ state }: Task, { views, exclusions }: Decision): number {
  const failed = state.kind === 'ready' ? state.excludedRegion : undefined;
  if (failed === undefined) return -1;
  return views.findIndex(({ facts }, i) => facts.name === failed && exclusions[i] === JUST_FAILED);
}
