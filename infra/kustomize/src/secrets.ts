import { readFile } from 'node:fs/promises';
import { isAbsolute, join, relative } from 'node:path';
import { ensureCertificates, type Installation, type RegionCredentials } from '@meridian/certificates';
import { ROLES } from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import { peersOf, regionOf, type Topology } from '@meridian/topology';
import type { BaseFolder } from './base-folder.ts';
import { brokerVariables, CLUSTER_USER } from './broker-config.ts';
import { BROKER_PORTS, brokerHosts, NAMESPACE } from './environment.ts';
import { hostsOf, identityOf } from './identities.ts';
import type { Manifest } from './manifest.ts';

/**
 * Makes what is missing in the folder, for all regions of the topology: both ends of a link need the same.
 * @param directory outside of the repository: nothing of it may get into git, or be removed by `make clean`.
 * @throws Failure INVALID_ARGUMENT / CERTIFICATES_PLACE; CREDENTIALS_UNREADABLE of a damaged file.
 */
export function ensureSecrets(
  directory: string,
  o: { readonly repository: string; readonly topology: Topology; readonly clockMs: number },
): Promise<Installation> {
  const inside = relative(o.repository, directory);
  if (directory === '' || !isAbsolute(directory) || !(inside.startsWith('..') || isAbsolute(inside)))
    throw new Failure('INVALID_ARGUMENT', PLACE, { reason: 'CERTIFICATES_PLACE' });
  const { topology, clockMs } = o;
  return ensureCertificates({
    directory,
    topology,
    clockMs,
    hosts: (region, service) => hostsOf(topology, region, service),
  });
}

const PLACE =
  'CERTIFICATES names the folder with the keys of the installation, outside of this repository: CERTIFICATES=/path. ' +
  'Keep it: who has it is everybody, and without it the stored streams cannot be read';

/** The Secrets of a region, and the namespace that they are in. They hold keys: they go to the cluster and nowhere else. */
export async function secretManifests(
  installation: Installation,
  topology: Topology,
  region: string,
  base: BaseFolder,
): Promise<Manifest[]> {
  const credentials = installation.regions[regionOf(topology, region).name];
  if (credentials === undefined) throw new RangeError(`no credentials for ${region}`);
  const secrets: Manifest[] = [];
  for (const program of base.identities) {
    const { service, role } = identityOf(program);
    const file = (name: string) => readFile(join(credentials.certificates[service], name), 'utf8');
    secrets.push(
      secret(`${program}-tls`, 'kubernetes.io/tls', {
        'ca.crt': await file('ca.pem'),
        'tls.crt': await file('cert.pem'),
        'tls.key': await file('key.pem'),
      }),
    );
    if (role !== undefined)
      secrets.push(secret(`${program}-nkey`, 'Opaque', { seed: await readFile(credentials.seedFiles[role], 'utf8') }));
  }
  return [...secrets, secret('nats-secrets', 'Opaque', brokerSecrets(credentials, topology, region))];
}

/** Values as nats-server reads them: in quotes, because it takes digits for a number. */
function brokerSecrets(credentials: RegionCredentials, topology: Topology, region: string): Record<string, string> {
  const { nkey, linkPassword, linkUrl, route, routePassword, jetstreamKey } = brokerVariables;
  const values: Record<string, string> = { [jetstreamKey]: credentials.jetstreamKey };
  for (const role of ROLES) values[nkey(role)] = credentials.publicKeys[role];
  const names = topology.regions.map(({ name }) => name);
  for (const { name: peer, leafAddress } of peersOf(topology, region)) {
    const { user = '', password = '' } = credentials.links[peer] ?? {};
    values[linkPassword(peer)] = password;
    if (names.indexOf(peer) < names.indexOf(region)) values[linkUrl(peer)] = `tls://${user}:${password}@${leafAddress}`;
  }
  values[routePassword] = credentials.routePassword;
  for (const [i, host] of brokerHosts().entries())
    values[route(i)] = `nats-route://${CLUSTER_USER}:${credentials.routePassword}@${host}:${BROKER_PORTS.cluster}`;
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, JSON.stringify(value)]));
}

function secret(name: string, type: string, stringData: Readonly<Record<string, string>>): Manifest {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: NAMESPACE }, type, stringData };
}
