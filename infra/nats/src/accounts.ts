import { ROLES, type Role } from '@meridian/contracts';
import { crossing, exportsTo, importsFrom } from './account-links.ts';
import type { ConfValue, Secret } from './conf-text.ts';
import { CONSUMER_ACCOUNT, consumerAccount, exportsToConsumers } from './consumer-account.ts';
import { type Permissions, permissionsOf } from './permissions.ts';

/**
 * One account for the region's own processes, one for readers of its events, one for each link.
 *
 * 1. A link's account has no user but the peer's broker: what the peer sends gets no further than the imports below.
 * 2. From a peer come only requests to this region and streams of that peer: it cannot speak for a third region.
 * 3. A row with crossing `none` is in no export.
 */
export const APPLICATION_ACCOUNT = 'APP';
const SYSTEM_ACCOUNT = 'SYS';

export interface AccountsOptions {
  readonly region: string;
  readonly peers: readonly string[];
  readonly publicKeys: Readonly<Record<Role, Secret>>;
  readonly links: Readonly<Record<string, { readonly user: string; readonly password: Secret }>>;
  readonly auditor: boolean;
}

export function linkAccount(peer: string): string {
  return `L_${peer}`;
}

/** Name of the auditor's user in a link's account: an nkey can be in one account only, so it has the link's password. */
export function linkAuditor(peer: string): string {
  return `auditor_${peer}`;
}

export function accounts(o: AccountsOptions): { readonly [key: string]: ConfValue } {
  const { region, peers } = o;
  const others = peers.map(linkAccount);
  const inside = ROLES.filter((role) => role !== 'consumer' && (role !== 'auditor' || o.auditor));
  return {
    [SYSTEM_ACCOUNT]: {},
    [APPLICATION_ACCOUNT]: {
      jetstream: 'enabled',
      users: inside.map((role) => user(o.publicKeys[role], permissionsOf(role, region))),
      exports: [
        ...(peers.length > 0 ? exportsTo(others, crossing(region)) : []),
        ...exportsTo([CONSUMER_ACCOUNT], exportsToConsumers(region)),
      ],
      imports: peers.flatMap((peer) => importsFrom(linkAccount(peer), crossing(peer))),
    },
    [CONSUMER_ACCOUNT]: consumerAccount(region, APPLICATION_ACCOUNT, (permissions) =>
      user(o.publicKeys.consumer, permissions),
    ),
    ...Object.fromEntries(peers.map((peer) => [linkAccount(peer), linkAccountOf(peer, o)])),
  };
}

function linkAccountOf(peer: string, o: AccountsOptions): ConfValue {
  return {
    ...(o.auditor && { users: [linkAuditorUser(peer, o)] }),
    exports: exportsTo([APPLICATION_ACCOUNT], crossing(peer)),
    imports: importsFrom(APPLICATION_ACCOUNT, crossing(o.region)),
  };
}

export const systemAccount = SYSTEM_ACCOUNT;

function user(nkey: Secret, { publish, subscribe }: Permissions): ConfValue {
  return {
    nkey,
    permissions: {
      publish: publish.length > 0 ? { allow: publish } : { deny: ['>'] },
      subscribe: { allow: subscribe },
    },
  };
}

function linkAuditorUser(peer: string, o: AccountsOptions): ConfValue {
  return {
    user: linkAuditor(peer),
    password: o.links[peer]?.password ?? '',
    permissions: { publish: { deny: ['>'] }, subscribe: { allow: ['>'] } },
  };
}
