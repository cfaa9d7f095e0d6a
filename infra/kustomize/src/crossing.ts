import { isIP } from 'node:net';
import { peersOf, type Region, regionOf, type Topology } from '@meridian/topology';
import type { Service } from 'kubernetes-types/core/v1.js';
import type { NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer } from 'kubernetes-types/networking/v1.js';
import { dialling } from './broker-config.ts';
import { BROKER_PORTS, PORTS } from './environment.ts';

/**
 * What crosses regions, and is nowhere in the base: the doors by which other regions and clients come in, and the ways out to
 * the doors of the others.
 *
 * 1. The public port of a door is the one of regions.yaml; the pod's is the base's.
 * 2. A region that no other dials has no door for brokers.
 */
export function crossing(topology: Topology, name: string): (Service | NetworkPolicy)[] {
  const region = regionOf(topology, name);
  const isDialled = dialling(topology, name).length > 0;
  const later = new Set(dialling(topology, name));
  const peers = peersOf(topology, name);
  const dialled = peers.filter((peer) => !later.has(peer.name)).map(({ leafAddress }) => leafAddress);
  return [
    door('scheduler-door', 'scheduler', 'grpc', region.grpcAddress),
    ...(isDialled ? [door('nats-leaf', 'nats', 'leaf', region.leafAddress)] : []),
    policy('scheduler-door', 'scheduler', { in: [PORTS.grpc], out: [] }),
    ...(peers.length > 0
      ? [
          policy('links-of-brokers', 'nats', { in: isDialled ? [BROKER_PORTS.leaf] : [], out: dialled }),
          policy('links-of-workers', 'inference-worker', { in: [], out: peers.map((peer) => peer.grpcAddress) }),
        ]
      : []),
  ];
}

/** regions.yaml as this region sees it: its own doors are those inside. */
export function regionView(topology: Topology, name: string): Topology {
  regionOf(topology, name);
  const inside = (region: Region): Region => ({
    ...region,
    leafAddress: `nats-headless:${BROKER_PORTS.leaf}`,
    grpcAddress: `scheduler:${PORTS.grpc}`,
  });
  return { ...topology, regions: topology.regions.map((region) => (region.name === name ? inside(region) : region)) };
}

function door(name: string, app: string, targetPort: string, address: string): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, labels: { 'app.kubernetes.io/name': app } },
    spec: {
      type: 'LoadBalancer',
      selector: { 'app.kubernetes.io/name': app },
      ports: [{ name: targetPort, port: split(address).port, targetPort }],
    },
  };
}

function policy(
  name: string,
  app: string,
  ways: { readonly in: readonly number[]; readonly out: readonly string[] },
): NetworkPolicy {
  const ingress = ways.in.map(
    (port): NetworkPolicyIngressRule => ({ from: anywhere(), ports: [{ protocol: 'TCP', port }] }),
  );
  const egress = [...new Set(ways.out)].map(split).map(({ host, port }) => ({
    to: isIP(host) === 0 ? anywhere() : [{ ipBlock: { cidr: `${host}/${isIP(host) === 4 ? 32 : 128}` } }],
    ports: [{ protocol: 'TCP', port }],
  }));
  // Several regions by name and one port are one rule.
  const rules = [...new Map(egress.map((rule) => [JSON.stringify(rule), rule])).values()];
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name },
    spec: {
      podSelector: { matchLabels: { 'app.kubernetes.io/name': app } },
      policyTypes: [...(ingress.length > 0 ? ['Ingress'] : []), ...(rules.length > 0 ? ['Egress'] : [])],
      ...(ingress.length > 0 && { ingress }),
      ...(rules.length > 0 && { egress: rules }),
    },
  };
}

/** A policy cannot name a host: of a region that is known by name only the port is. */
function anywhere(): NetworkPolicyPeer[] {
  return [{ ipBlock: { cidr: '0.0.0.0/0' } }, { ipBlock: { cidr: '::/0' } }];
}

export function split(address: string): { readonly host: string; readonly port: number } {
  const at = address.lastIndexOf(':');
  return { host: address.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(address.slice(at + 1)) };
}
