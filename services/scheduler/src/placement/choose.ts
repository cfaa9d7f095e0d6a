import type { Task } from '../tasks/task.ts';
import type { CostFunction } from './cost.ts';
import type { RegionView } from './region-view.ts';
import type { PlacementWindow } from './window.ts';

export interface Choice {
  readonly region: string;
  readonly costMs: number;
}

/**
 * The cheapest region in which the task may run now: up, with workers, ready for the model, allowed by the residency
 * rule, with room in the window. The region where it just failed is taken only when there is no other.
 * @returns undefined when there is none: the task waits.
 */
export function choose(
  task: Task,
  regions: Iterable<RegionView>,
  readyRegions: ReadonlySet<string>,
  window: PlacementWindow,
  cost: CostFunction,
): Choice | undefined {
  const { work, state } = task;
  const returning = state.kind === 'ready' && state.after !== undefined;
  const excluded = state.kind === 'ready' ? state.excludedRegion : undefined;
  let best: Choice | undefined;
  let fallback: Choice | undefined;
  for (const view of regions) {
    const region = view.facts.name;
    if (!mayRun(view, readyRegions, work.allowedRegions)) continue;
    if (!window.allows(region, work.priority, returning)) continue;
    const costMs = cost({
      roundTripMs: view.roundTripMs,
      bandwidthMbps: view.facts.bandwidthMbps,
      pictureBytes: task.pictureBytes,
      outstanding: window.ahead(region, work.priority, view.outstanding),
      capacity: view.load.capacity,
      serviceMs: view.serviceMs(work.modelDigest) ?? work.expectedServiceMs,
    });
    if (region === excluded) fallback = { region, costMs };
    else if (best === undefined || costMs < best.costMs) best = { region, costMs };
  }
  return best ?? fallback;
}

function mayRun(
  view: RegionView,
  readyRegions: ReadonlySet<string>,
  allowed: ReadonlySet<string> | undefined,
): boolean {
  const { name } = view.facts;
  return view.health === 'up' && view.hasWorkers && readyRegions.has(name) && (allowed?.has(name) ?? true);
}
