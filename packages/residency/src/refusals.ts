import { Failure } from '@meridian/failure';
import type { PlacedRegion } from './rule.ts';
import type { Territory } from './territory.ts';

/** A region as a refused caller is told of it. */
export interface RegionDoor extends PlacedRegion {
  /** host:port of its public door, from regions.yaml of the region that refuses. */
  readonly grpcAddress: string;
}

/** Regions that a refusal names. */
const REGIONS_SHOWN = 16;

/** @throws Failure FAILED_PRECONDITION / RESIDENCY_INFEASIBLE when the rules leave no region. Not retryable. */
export function requireFeasible({ allowed, reasons }: Territory): void {
  if (allowed.size > 0) return;
  const why = [...reasons].slice(0, REGIONS_SHOWN).map(([region, reason]) => `${region} (${reason})`);
  throw new Failure('FAILED_PRECONDITION', `residency: the rules leave no region: ${why.join('; ')}`, {
    reason: 'RESIDENCY_INFEASIBLE',
  });
}

/**
 * The region itself must be allowed: what it takes in is held here.
 * @throws Failure FAILED_PRECONDITION / RESIDENCY_REGION_NOT_ALLOWED with the regions to ask in `details`: `regions` has
 *   their names, and `addresses` their doors (`name=host:port`), both with commas between. As requireFeasible.
 */
export function requireAllowed(territory: Territory, region: string, doors: readonly RegionDoor[]): void {
  requireFeasible(territory);
  if (territory.allowed.has(region)) return;
  const open = doors
    .filter(({ name }) => territory.allowed.has(name))
    .toSorted((a, b) => rank(territory, a.name) - rank(territory, b.name))
    .slice(0, REGIONS_SHOWN);
  const regions = open.map(({ name }) => name).join();
  throw new Failure(
    'FAILED_PRECONDITION',
    `${region} may not have this work (${territory.reasons.get(region) ?? 'residency'}); ask ${regions.replaceAll(',', ', ')}`,
    {
      reason: 'RESIDENCY_REGION_NOT_ALLOWED',
      details: { region, regions, addresses: open.map(({ name, grpcAddress }) => `${name}=${grpcAddress}`).join() },
    },
  );
}

/** Preferred ones first, each in the order of regions.yaml. */
function rank({ preferred }: Territory, region: string): number {
  return preferred.has(region) ? 0 : 1;
}
