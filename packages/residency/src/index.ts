export { type RegionDoor, requireAllowed, requireFeasible } from './refusals.ts';
export {
  checkRule,
  isEmptyRule,
  NO_RULE,
  NOWHERE,
  PARTS,
  type Part,
  PLACES_MAX,
  type PlacedRegion,
  type Places,
  type ResidencyRule,
} from './rule.ts';
export { formatRule, parseRule, RULE_CHARS_MAX } from './rule-text.ts';
export { decodeTenant, encodeTenant, ruleMessage, ruleOf, type Tenant } from './tenant-record.ts';
export { closedTerritory, type NamedRule, type Territory, territoryOf } from './territory.ts';
