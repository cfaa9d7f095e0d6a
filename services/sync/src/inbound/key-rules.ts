import { isTenant } from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import {
  CONFIG_NAME_CHARS_MAX,
  CONFIG_PREFIX,
  isConfigName,
  isStateKey,
  KEY_CHARS_MAX,
  TENANT_PREFIX,
} from '@meridian/replica';
import {
  checkRule,
  decodeTenant,
  type PlacedRegion,
  requireFeasible,
  type Tenant,
  territoryOf,
} from '@meridian/residency';

/** @throws Failure INVALID_ARGUMENT / KEY_INVALID for what no key can be. Not retryable. */
export function requireKey(key: string): void {
  if (isStateKey(key)) return;
  const message = `key: expected 1 to ${KEY_CHARS_MAX} characters, as a token of a subject; not *`;
  throw new Failure('INVALID_ARGUMENT', message, { reason: 'KEY_INVALID' });
}

/**
 * What people may write themselves: configuration as it is, and tenants' records that every region can read.
 * @param value undefined deletes
 * @throws Failure INVALID_ARGUMENT / KEY_RESERVED, KEY_INVALID, TENANT_INVALID, TENANT_RECORD_INVALID, RESIDENCY_RULE_INVALID,
 *   RESIDENCY_INFEASIBLE; NOT_FOUND / REGION_UNKNOWN. Not retryable.
 */
export function requireWritable(key: string, value: Uint8Array | undefined, regions: readonly PlacedRegion[]): void {
  if (key.startsWith(TENANT_PREFIX)) requireTenantRecord(key.slice(TENANT_PREFIX.length), value, regions);
  else requireConfigKey(key);
}

function requireTenantRecord(name: string, value: Uint8Array | undefined, regions: readonly PlacedRegion[]): void {
  if (!isTenant(name))
    throw new Failure('INVALID_ARGUMENT', 'tenant: expected 1–63 of a–z, 0–9 and inner hyphens', {
      reason: 'TENANT_INVALID',
    });
  if (value === undefined) return;
  const { residency } = readTenant(name, value);
  checkRule(residency, regions);
  requireFeasible(territoryOf([{ of: `tenant ${name}`, rule: residency }], regions));
}

function readTenant(name: string, value: Uint8Array): Tenant {
  try {
    return decodeTenant(name, value);
  } catch (cause) {
    const { message } = Failure.from(cause);
    throw new Failure('INVALID_ARGUMENT', message, { reason: 'TENANT_RECORD_INVALID', cause });
  }
}

/** @throws Failure INVALID_ARGUMENT / KEY_RESERVED, KEY_INVALID for what people may not write directly. Not retryable. */
export function requireConfigKey(key: string): void {
  if (!key.startsWith(CONFIG_PREFIX))
    throw new Failure(
      'INVALID_ARGUMENT',
      `key: only keys below ${CONFIG_PREFIX} and ${TENANT_PREFIX} are written here; models, aliases and members have commands of their own`,
      { reason: 'KEY_RESERVED' },
    );
  if (!isConfigName(key.slice(CONFIG_PREFIX.length)))
    throw new Failure(
      'INVALID_ARGUMENT',
      `key: expected ${CONFIG_PREFIX} and 1 to ${CONFIG_NAME_CHARS_MAX} of letters, digits and _.:~+@=-, with single slashes between; a dot counts three towards 200`,
      { reason: 'KEY_INVALID' },
    );
}
