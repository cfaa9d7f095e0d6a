import { PARTS, type Part, PLACES_MAX, type Places, type ResidencyRule, ruleInvalid } from './rule.ts';

/** Of a rule as text: three parts of 64 names fit. */
export const RULE_CHARS_MAX = 16 * 1024;
const PLACE = /^(region|zone):([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)$/;

/**
 * Reads `only=zone:cn-north,region:wuhan;never=region:guangzhou;prefer=region:beijing`: parts with semicolons between, each
 * at most once, in any order; their places with commas between; spaces only around separators. '' is the empty rule.
 *
 * Strict: what cannot be read is never taken as "no rule". Whether the places exist is `checkRule`'s.
 * @throws Failure INVALID_ARGUMENT / RESIDENCY_RULE_INVALID that says what is wrong where. Not retryable.
 */
export function parseRule(text: string): ResidencyRule {
  if (text.length > RULE_CHARS_MAX) throw ruleInvalid(`residency: more than ${RULE_CHARS_MAX} characters`);
  if (text.trim() === '') return {};
  const rule: Partial<Record<Part, Places>> = {};
  for (const clause of text.split(';')) {
    const at = clause.indexOf('=');
    const part = PARTS.find((name) => name === clause.slice(0, Math.max(0, at)).trim());
    if (part === undefined) throw ruleInvalid(`residency: expected only=…, never=… or prefer=…, not ${show(clause)}`);
    if (rule[part] !== undefined) throw ruleInvalid(`residency: ${part} is there twice`);
    rule[part] = placesOf(part, clause.slice(at + 1));
  }
  return rule;
}

function placesOf(part: Part, text: string): Places {
  const regions: string[] = [];
  const zones: string[] = [];
  const places = text.split(',');
  if (places.length > PLACES_MAX) throw ruleInvalid(`residency.${part}: more than ${PLACES_MAX} regions and zones`);
  for (const place of places) {
    const [, kind, name] = PLACE.exec(place.trim()) ?? [];
    if (name === undefined)
      throw ruleInvalid(`residency.${part}: expected region:<name> or zone:<name>, not ${show(place)}`);
    const list = kind === 'region' ? regions : zones;
    if (!list.includes(name)) list.push(name);
  }
  return { regions, zones };
}

/** The rule's one text: parts and places in order. Equal rules have equal texts; `parseRule` reads them back. */
export function formatRule(rule: ResidencyRule): string {
  return PARTS.flatMap((part) => {
    const places = rule[part];
    return places === undefined ? [] : [`${part}=${formatPlaces(places)}`];
  }).join(';');
}

function formatPlaces({ regions, zones }: Places): string {
  const all = [...regions.map((name) => `region:${name}`), ...zones.map((name) => `zone:${name}`)];
  return all.toSorted().join();
}

function show(text: string): string {
  return JSON.stringify(text.trim().slice(0, 80));
}
