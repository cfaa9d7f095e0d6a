import { ROLES } from '@meridian/contracts';
import { peersOf, type Topology } from '@meridian/topology';
import type { BaseFolder } from './base-folder.ts';
import { brokerVariables } from './broker-config.ts';
import { BROKERS } from './environment.ts';
import { identityOf } from './identities.ts';

/** Secrets that a region's pods need, with their keys: what `make secrets` makes, and `make deploy` asks for. */
export function secretKeys(topology: Topology, region: string, base: BaseFolder): Map<string, ReadonlySet<string>> {
  const secrets = new Map<string, ReadonlySet<string>>();
  for (const program of base.identities) {
    secrets.set(`${program}-tls`, new Set(['ca.crt', 'tls.crt', 'tls.key']));
    if (identityOf(program).role !== undefined) secrets.set(`${program}-nkey`, new Set(['seed']));
  }
  secrets.set('nats-secrets', new Set(brokerSecretNames(topology, region)));
  return secrets;
}

function brokerSecretNames(topology: Topology, region: string): string[] {
  const { nkey, linkPassword, linkUrl, route, routePassword, jetstreamKey } = brokerVariables;
  const peers = peersOf(topology, region).map(({ name }) => name);
  const names = topology.regions.map(({ name }) => name);
  const dialled = peers.filter((peer) => names.indexOf(peer) < names.indexOf(region));
  return [
    ...ROLES.map(nkey),
    ...peers.map(linkPassword),
    ...dialled.map(linkUrl),
    ...Array.from({ length: BROKERS }, (_, i) => route(i)),
    routePassword,
    jetstreamKey,
  ];
}
