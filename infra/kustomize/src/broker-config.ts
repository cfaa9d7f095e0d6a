import { ROLES, type Role } from '@meridian/contracts';
import { JETSTREAM_KEY_VARIABLE, type LinkSecret, natsConfig, Variable } from '@meridian/nats-config';
import { peersOf, regionOf, type Topology } from '@meridian/topology';
import { BROKER_PORTS, BROKERS } from './environment.ts';

/** Of the image that infra/docker/Dockerfile builds brokers from; a test compares them. */
export const BROKER_VERSION = '2.11.4';
/** Of brokers of one region among each other. */
export const CLUSTER_USER = 'cluster';

/** Names of the variables in which brokers find their secrets: keys of the Secret `nats-secrets`. */
export const brokerVariables = {
  nkey: (role: Role) => `NKEY_${role.toUpperCase()}`,
  linkPassword: (peer: string) => `LINK_${upper(peer)}_PASSWORD`,
  linkUrl: (peer: string) => `LINK_${upper(peer)}_URL`,
  route: (index: number) => `ROUTE_${index}`,
  routePassword: 'ROUTE_PASSWORD',
  jetstreamKey: JETSTREAM_KEY_VARIABLE,
} as const;

/**
 * Configuration of a region's three brokers, from the same tables as that of a local run. It holds no secret, and is the same
 * for all of them: they differ by their environment.
 */
export function brokerConfig(topology: Topology, region: string): string {
  const variable = (name: string) => new Variable(name);
  const peers = peersOf(topology, region).map(({ name }) => name);
  const order = topology.regions.map(({ name }) => name);
  const dials = (peer: string) => order.indexOf(peer) < order.indexOf(region);
  const link = (peer: string): LinkSecret => ({
    user: dials(peer) ? region : peer,
    password: variable(brokerVariables.linkPassword(peer)),
    url: variable(brokerVariables.linkUrl(peer)),
  });
  const keys = Object.fromEntries(ROLES.map((role) => [role, variable(brokerVariables.nkey(role))]));
  return natsConfig({
    topology,
    region,
    listenHost: '0.0.0.0',
    // Probes come from the node, KEDA's questions from its namespace; who else may ask is up to the network policies.
    monitorHost: '0.0.0.0',
    ports: BROKER_PORTS,
    storeDirectory: '/data',
    certificates: { ca: '/etc/nats-tls/ca.pem', cert: '/etc/nats-tls/cert.pem', key: '/etc/nats-tls/key.pem' },
    publicKeys: keys as Readonly<Record<Role, Variable>>,
    links: Object.fromEntries(peers.map((peer) => [peer, link(peer)])),
    advertise: regionOf(topology, region).leafAddress,
    brokerVersion: BROKER_VERSION,
    cluster: {
      serverName: variable('SERVER_NAME'),
      port: BROKER_PORTS.cluster,
      routes: Array.from({ length: BROKERS }, (_, i) => variable(brokerVariables.route(i))),
      user: CLUSTER_USER,
      password: variable(brokerVariables.routePassword),
      pidFile: '/run/nats/nats.pid',
    },
  });
}

/** Regions that dial this one: those that are later in the topology. */
export function dialling(topology: Topology, region: string): string[] {
  const names = topology.regions.map(({ name }) => name);
  return names.slice(names.indexOf(region) + 1);
}

function upper(region: string): string {
  return region.toUpperCase().replaceAll('-', '_');
}
