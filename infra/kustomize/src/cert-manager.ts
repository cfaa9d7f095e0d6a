import { isIP } from 'node:net';
import type { Topology } from '@meridian/topology';
import { hostsOf, identityOf, SERVER_NAME } from './identities.ts';
import type { Manifest } from './manifest.ts';

/** Name of the issuer that whoever runs the cluster provides: of one authority for all regions. */
const ISSUER = 'meridian';

/** A Certificate for each program, which says what `make secrets` would put into its certificate. */
export function certificates(topology: Topology, region: string, programs: readonly string[]): Manifest[] {
  return programs.map((program) => {
    const { service } = identityOf(program);
    const hosts = hostsOf(topology, region, service);
    return {
      apiVersion: 'cert-manager.io/v1',
      kind: 'Certificate',
      metadata: { name: program },
      spec: {
        secretName: `${program}-tls`,
        issuerRef: { kind: 'ClusterIssuer', name: ISSUER },
        duration: '2160h',
        renewBefore: '720h',
        privateKey: { algorithm: 'ECDSA', size: 256, encoding: 'PKCS8', rotationPolicy: 'Always' },
        usages: ['digital signature', 'server auth', 'client auth'],
        uris: [`spiffe://meridian/${region}/${service}/1`],
        dnsNames: [SERVER_NAME, 'localhost', ...hosts.filter((host) => isIP(host) === 0)],
        ipAddresses: ['127.0.0.1', ...hosts.filter((host) => isIP(host) !== 0)],
      },
    };
  });
}
