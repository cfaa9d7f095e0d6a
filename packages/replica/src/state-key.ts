import { token } from '@meridian/contracts';

/** Keys of the shared state, and what they hold (proto/meridian/state/v1). */
export type StateKey =
  /** A ModelRecord. */
  | { readonly kind: 'model'; readonly name: string }
  /** A ReadyRecord. */
  | { readonly kind: 'ready'; readonly region: string; readonly digest: string }
  /** An EndedEpochsRecord. */
  | { readonly kind: 'epochs'; readonly region: string }
  /** A MemberRecord. */
  | { readonly kind: 'member'; readonly region: string }
  /** A SealRecord. */
  | { readonly kind: 'seal'; readonly region: string; readonly member: string }
  /** Bytes, as whoever wrote them means them. */
  | { readonly kind: 'config'; readonly name: string }
  /** A TenantRecord. */
  | { readonly kind: 'tenant'; readonly tenant: string }
  /** An AliasRecord. */
  | { readonly kind: 'alias'; readonly alias: string }
  /** A RegionPhaseRecord, written by that region only. */
  | { readonly kind: 'roll'; readonly alias: string; readonly region: string };

export const MODEL_PREFIX = 'model/';
export const READY_PREFIX = 'ready/';
export const TENANT_PREFIX = 'tenant/';
export const ALIAS_PREFIX = 'alias/';
export const ROLL_PREFIX = 'roll/';
/** What people may write directly. */
export const CONFIG_PREFIX = 'config/';

/** Of the name of a configuration key. */
export const CONFIG_NAME_CHARS_MAX = 180;
const CONFIG_NAME = /^[\w.:~+@=-]+(?:\/[\w.:~+@=-]+)*$/;

export function modelKey(name: string): string {
  return `${MODEL_PREFIX}${name}`;
}

export function readyKey(region: string, digest: string): string {
  return `${READY_PREFIX}${region}/${digest}`;
}

export function epochsKey(region: string): string {
  return `epochs/${region}`;
}

export function memberKey(region: string): string {
  return `member/${region}`;
}

export function sealKey(region: string, member: string): string {
  return `seal/${region}/${member}`;
}

/** What is agreed with a tenant. A claim requires the record that it was placed by. */
export function tenantKey(tenant: string): string {
  return `${TENANT_PREFIX}${tenant}`;
}

export function configKey(name: string): string {
  return `${CONFIG_PREFIX}${name}`;
}

/**
 * Whether a key can be one of the shared state, of whatever kind: it becomes one token of a subject, where `*` would mean
 * every key, and what begins with `~` is the log's own.
 */
export function isStateKey(key: string): boolean {
  if (key === '*' || key.startsWith('~')) return false;
  try {
    return token(key) !== '';
  } catch {
    return false;
  }
}

/**
 * 1 … 180 letters, digits and `_.:~+@=-`, in parts with one slash between. The key becomes one token of a subject, of at
 * most 200 characters, in which a dot takes three.
 */
export function isConfigName(name: string): boolean {
  return name.length <= CONFIG_NAME_CHARS_MAX && CONFIG_NAME.test(name) && isStateKey(configKey(name));
}

export function aliasKey(alias: string): string {
  return `${ALIAS_PREFIX}${alias}`;
}

export function rollKey(alias: string, region: string): string {
  return `${ROLL_PREFIX}${alias}/${region}`;
}

/** @returns undefined for a key of a kind that this version does not know: such entries are kept and passed on. */
export function parseStateKey(key: string): StateKey | undefined {
  if (key.startsWith(CONFIG_PREFIX)) {
    const name = key.slice(CONFIG_PREFIX.length);
    return isConfigName(name) ? { kind: 'config', name } : undefined;
  }
  const [kind, first, second, ...others] = key.split('/');
  if (kind === 'model' && first && second === undefined) return { kind, name: first };
  if (kind === 'ready' && first && second && others.length === 0) return { kind, region: first, digest: second };
  if (kind === 'epochs' && first && second === undefined) return { kind, region: first };
  if (kind === 'member' && first && second === undefined) return { kind, region: first };
  if (kind === 'seal' && first && second && others.length === 0) return { kind, region: first, member: second };
  if (kind === 'tenant' && first && second === undefined) return { kind, tenant: first };
  if (kind === 'alias' && first && second === undefined) return { kind, alias: first };
  if (kind === 'roll' && first && second && others.length === 0) return { kind, alias: first, region: second };
  return undefined;
}
