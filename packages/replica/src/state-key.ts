/** Keys of the shared state, and what they hold (proto/meridian/state/v1). */
export type StateKey =
  /** A ModelRecord. */
  | { readonly kind: 'model'; readonly name: string }
  /** A ReadyRecord. */
  | { readonly kind: 'ready'; readonly region: string; readonly digest: string };

export const MODEL_PREFIX = 'model/';
export const READY_PREFIX = 'ready/';
const TENANT_PREFIX = 'tenant/';

export function modelKey(name: string): string {
  return `${MODEL_PREFIX}${name}`;
}

export function readyKey(region: string, digest: string): string {
  return `${READY_PREFIX}${region}/${digest}`;
}

/** What is agreed with a tenant. A claim requires it where it exists. */
export function tenantKey(tenant: string): string {
  return `${TENANT_PREFIX}${tenant}`;
}

/** @returns undefined for a key of a kind that this version does not know: such entries are kept and passed on. */
export function parseStateKey(key: string): StateKey | undefined {
  const [kind, first, second, ...others] = key.split('/');
  if (kind === 'model' && first && second === undefined) return { kind, name: first };
  if (kind === 'ready' && first && second && others.length === 0) return { kind, region: first, digest: second };
  return undefined;
}
