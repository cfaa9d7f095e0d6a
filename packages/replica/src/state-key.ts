/** Keys of the shared state, and what they hold (proto/meridian/state/v1). */
export type StateKey =
  /** A ModelRecord. */
  | { readonly kind: 'model'; readonly name: string }
  /** A ReadyRecord. */
  | { readonly kind: 'ready'; readonly region: string; readonly digest: string }
  /** An AliasRecord. */
  | { readonly kind: 'alias'; readonly alias: string }
  /** A RegionPhaseRecord, written by that region only. */
  | { readonly kind: 'roll'; readonly alias: string; readonly region: string };

export const MODEL_PREFIX = 'model/';
export const READY_PREFIX = 'ready/';
const ALIAS_PREFIX = 'alias/';
const ROLL_PREFIX = 'roll/';

export function modelKey(name: string): string {
  return `${MODEL_PREFIX}${name}`;
}

export function readyKey(region: string, digest: string): string {
  return `${READY_PREFIX}${region}/${digest}`;
}

export function aliasKey(alias: string): string {
  return `${ALIAS_PREFIX}${alias}`;
}

export function rollKey(alias: string, region: string): string {
  return `${ROLL_PREFIX}${alias}/${region}`;
}

/** @returns undefined for a key of a kind that this version does not know: such entries are kept and passed on. */
export function parseStateKey(key: string): StateKey | undefined {
  const [kind, first, second, ...others] = key.split('/');
  if (kind === 'model' && first && second === undefined) return { kind, name: first };
  if (kind === 'ready' && first && second && others.length === 0) return { kind, region: first, digest: second };
  if (kind === 'alias' && first && second === undefined) return { kind, alias: first };
  if (kind === 'roll' && first && second && others.length === 0) return { kind, alias: first, region: second };
  return undefined;
}
