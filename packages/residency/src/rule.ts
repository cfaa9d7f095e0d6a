import { Failure } from '@meridian/failure';

/** Regions by name, and by the residency zone that regions.yaml gives them. */
export interface Places {
  readonly regions: readonly string[];
  readonly zones: readonly string[];
}

/**
 * Where pictures, their digests and names, and what is recognised in them may be.
 *
 * An absent part says nothing. A part that is there names at least one place.
 */
export interface ResidencyRule {
  /** Nowhere else. */
  readonly only?: Places;
  /** Not there, whatever `only` says. */
  readonly never?: Places;
  /** There first, of what is allowed. It protects nothing. */
  readonly prefer?: Places;
}

/** What a rule must know of a region of regions.yaml. */
export interface PlacedRegion {
  readonly name: string;
  readonly zone: string;
}

export const PARTS = ['only', 'never', 'prefer'] as const;
export type Part = (typeof PARTS)[number];

/** Of one part: a topology has no more regions. */
export const PLACES_MAX = 64;

/** Says nothing. */
export const NO_RULE: ResidencyRule = {};
/** Allows nothing: in place of a rule that was given and cannot be read. `checkRule` refuses it. */
export const NOWHERE: ResidencyRule = { only: { regions: [], zones: [] } };

export function isEmptyRule(rule: ResidencyRule): boolean {
  return PARTS.every((part) => rule[part] === undefined);
}

export function isIn({ regions, zones }: Places, { name, zone }: PlacedRegion): boolean {
  return regions.includes(name) || zones.includes(zone);
}

/**
 * Every part names a place, no more than PLACES_MAX, and none that the topology does not have.
 * @param where begins the messages, e.g. `residency`
 * @throws Failure INVALID_ARGUMENT / RESIDENCY_RULE_INVALID; NOT_FOUND / REGION_UNKNOWN that names what is unknown and lists
 *   what is known. Not retryable.
 */
export function checkRule(rule: ResidencyRule, regions: readonly PlacedRegion[], where = 'residency'): void {
  for (const part of PARTS) {
    const places = rule[part];
    if (places !== undefined) checkPlaces(places, regions, `${where}.${part}`);
  }
}

function checkPlaces({ regions, zones }: Places, known: readonly PlacedRegion[], where: string): void {
  const count = regions.length + zones.length;
  if (count === 0) throw ruleInvalid(`${where}: names no region and no zone`);
  if (count > PLACES_MAX) throw ruleInvalid(`${where}: more than ${PLACES_MAX} regions and zones`);
  const names = new Set(known.map(({ name }) => name));
  const knownZones = new Set(known.map(({ zone }) => zone));
  for (const name of regions) if (!names.has(name)) throw unknown(`${where}.regions`, 'region', name, names);
  for (const zone of zones) if (!knownZones.has(zone)) throw unknown(`${where}.zones`, 'zone', zone, knownZones);
}

export function ruleInvalid(message: string): Failure {
  return new Failure('INVALID_ARGUMENT', message, { reason: 'RESIDENCY_RULE_INVALID' });
}

function unknown(field: string, kind: string, name: string, known: ReadonlySet<string>): Failure {
  const shown = JSON.stringify(name.slice(0, 63));
  const message = `${field}: there is no ${kind} ${shown}; known are ${[...known].join(', ')}`;
  return new Failure('NOT_FOUND', message, { reason: 'REGION_UNKNOWN', details: { field } });
}
