import { Failure } from '@meridian/failure';

export interface ResidencyRule {
  readonly regions: readonly string[];
  readonly zones: readonly string[];
}

/** What placement must know of a region of regions.yaml. */
export interface PlacementRegion {
  readonly name: string;
  readonly zone: string;
}

/**
 * Regions in which the rule allows work: those that it names and those of the zones that it names.
 * @returns undefined for an empty rule, which allows all regions.
 * @throws Failure NOT_FOUND / REGION_UNKNOWN that names what is unknown and lists what is known. Not retryable.
 */
export function allowedRegions(
  rule: ResidencyRule | undefined,
  regions: readonly PlacementRegion[],
): ReadonlySet<string> | undefined {
  if (rule === undefined || (rule.regions.length === 0 && rule.zones.length === 0)) return undefined;
  const names = new Set(regions.map((region) => region.name));
  const zones = new Set(regions.map((region) => region.zone));
  for (const name of rule.regions) if (!names.has(name)) throw unknown('region', 'residency.regions', name, names);
  for (const zone of rule.zones) if (!zones.has(zone)) throw unknown('zone', 'residency.zones', zone, zones);
  const allowed = regions.filter(({ name, zone }) => rule.regions.includes(name) || rule.zones.includes(zone));
  return new Set(allowed.map((region) => region.name));
}

function unknown(kind: string, field: string, name: string, known: ReadonlySet<string>): Failure {
  const shown = JSON.stringify(name.slice(0, 63));
  return new Failure('NOT_FOUND', `${field}: there is no ${kind} ${shown}; known are ${[...known].join(', ')}`, {
    reason: 'REGION_UNKNOWN',
    details: { field },
  });
}
