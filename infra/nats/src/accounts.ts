import { ROLES, type Role } from '@meridian/contracts';
import type { ConfValue } from './conf-text.ts';
import { permissionsOf } from './permissions.ts';
import { carriesTarget, rows, subjectsOf } from './row.ts';

/**
 * One account for the region's own processes, one for each link.
 *
 * 1. A link's account has no user but the peer's broker: what the peer sends gets no further than the imports below.
 * 2. From a peer come only requests to this region and streams of that peer: it cannot speak for a third region.
 * 3. A row with crossing `none` is in no export.
 */
export const APPLICATION_ACCOUNT = 'APP';
const SYSTEM_ACCOUNT = 'SYS';

/** An answer later than this is refused; requests time out sooner. */
const RESPONSE_EXPIRES = '30s';

export interface AccountsOptions {
  readonly region: string;
  readonly peers: readonly string[];
  readonly publicKeys: Readonly<Record<Role, string>>;
  readonly links: Readonly<Record<string, { readonly user: string; readonly password: string }>>;
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
  return {
    [SYSTEM_ACCOUNT]: {},
    [APPLICATION_ACCOUNT]: {
      jetstream: 'enabled',
      users: ROLES.filter((role) => role !== 'auditor' || o.auditor).map((role) => user(role, o)),
      exports: peers.length === 0 ? [] : crossing(region).map((export_) => ({ ...export_, accounts: others })),
      imports: peers.flatMap((peer) => importsFrom(linkAccount(peer), peer)),
    },
    ...Object.fromEntries(
      peers.map((peer) => [
        linkAccount(peer),
        {
          ...(o.auditor && { users: [linkAuditorUser(peer, o)] }),
          exports: crossing(peer).map((export_) => ({ ...export_, accounts: [APPLICATION_ACCOUNT] })),
          imports: importsFrom(APPLICATION_ACCOUNT, region),
        },
      ]),
    ),
  };
}

export const systemAccount = SYSTEM_ACCOUNT;

/** What goes to a region as its target, and what fans out from it as its origin. */
function crossing(region: string): { service: string }[] | { stream: string }[] {
  return rows()
    .filter((row) => row.crossing !== 'none')
    .map((row) => ({ [carriesTarget(row) ? 'service' : 'stream']: subjectsOf(row, region) })) as { service: string }[];
}

function importsFrom(account: string, region: string): ConfValue[] {
  return crossing(region).map((export_) =>
    Object.fromEntries(Object.entries(export_).map(([kind, subject]) => [kind, { account, subject }])),
  );
}

function user(role: Role, o: AccountsOptions): ConfValue {
  const { publish, subscribe, mayRespond } = permissionsOf(role, o.region);
  return {
    nkey: o.publicKeys[role],
    permissions: {
      publish: publish.length > 0 ? { allow: publish } : { deny: ['>'] },
      subscribe: { allow: subscribe },
      ...(mayRespond && { allow_responses: { max: 1, expires: RESPONSE_EXPIRES } }),
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
