import type { Peer } from '@meridian/rpc';

/** The caller as versions name it. */
export function authorOf({ role, name }: Peer): string {
  return `${role}/${name}`;
}
