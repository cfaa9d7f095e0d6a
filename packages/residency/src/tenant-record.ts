import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type Places as PlacesMessage, type Rule, RuleSchema } from '@meridian/contracts/residency';
import { TenantRecordSchema } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { PARTS, type Part, type Places, type ResidencyRule, ruleInvalid } from './rule.ts';

/** What is agreed with a tenant. */
export interface Tenant {
  readonly name: string;
  readonly residency: ResidencyRule;
}

export function encodeTenant({ name, residency }: Tenant): Uint8Array {
  return toBinary(TenantRecordSchema, create(TenantRecordSchema, { name, residency: ruleMessage(residency) }));
}

/**
 * Strict: a record that says more or something else than we understand is not "no rule".
 * @param name of the key that has the value
 * @throws Failure FAILED_PRECONDITION / TENANT_UNREADABLE. Not retryable.
 */
export function decodeTenant(name: string, value: Uint8Array): Tenant {
  try {
    const record = fromBinary(TenantRecordSchema, value);
    if (record.name !== name) throw ruleInvalid(`the record is of ${JSON.stringify(record.name.slice(0, 63))}`);
    return { name, residency: ruleOf(record.residency) };
  } catch (cause) {
    const why = cause instanceof Failure ? cause.message : 'not a tenant record';
    throw new Failure('FAILED_PRECONDITION', `the record of tenant ${name} cannot be read: ${why}`, {
      reason: 'TENANT_UNREADABLE',
      details: { tenant: name },
      cause,
    });
  }
}

/** undefined for the empty rule, which then takes no bytes. */
export function ruleMessage(rule: ResidencyRule): Rule | undefined {
  const given = PARTS.filter((part) => rule[part] !== undefined);
  if (given.length === 0) return undefined;
  const parts = given.map((part): [Part, { regions: string[]; zones: string[] }] => {
    const { regions, zones } = rule[part] as Places;
    return [part, { regions: regions.toSorted(), zones: zones.toSorted() }];
  });
  return create(RuleSchema, Object.fromEntries(parts));
}

/** @throws Failure INVALID_ARGUMENT / RESIDENCY_RULE_INVALID for a message that another release wrote and we cannot know. */
export function ruleOf(message: Rule | undefined): ResidencyRule {
  if (message === undefined) return {};
  requireKnown(message, 'residency');
  const parts = PARTS.flatMap((part): [Part, Places][] => {
    const places = message[part];
    return places === undefined ? [] : [[part, placesOf(places, `residency.${part}`)]];
  });
  return Object.fromEntries(parts);
}

function placesOf(places: PlacesMessage, where: string): Places {
  requireKnown(places, where);
  const { regions, zones } = places;
  if (regions.length + zones.length === 0) throw ruleInvalid(`${where}: names no region and no zone`);
  return { regions: [...regions], zones: [...zones] };
}

function requireKnown(message: Rule | PlacesMessage, where: string): void {
  if ((message.$unknown?.length ?? 0) > 0) throw ruleInvalid(`${where}: written by a later release`);
}
