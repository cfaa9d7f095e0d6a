import { variableOf } from '@meridian/runtime';
import type { Program } from './program.ts';

/** Doors of our pods. Brokers' are those of infra/kustomize/base/nats. */
export const PORTS = { grpc: 7443, metrics: 9464, health: 8081 } as const;
export const BROKER_PORTS = { client: 4222, cluster: 6222, leaf: 7422, monitor: 8222 } as const;
export const BROKERS = 3;
export const NAMESPACE = 'meridian';

const STATE = '/var/lib/meridian';

/**
 * What a deployment says about fields of the services' configuration. A field that is not here keeps its default; the name of
 * the replica is the pod's.
 */
const VALUES: Readonly<Record<string, (region: string) => string>> = {
  region: (region) => region,
  topologyFile: () => '/etc/meridian/region/regions.yaml',
  natsUrl: () =>
    brokerHosts()
      .map((host) => `tls://${host}:${BROKER_PORTS.client}`)
      .join(','),
  natsSeedFile: () => '/etc/meridian/nkey/seed',
  tlsDirectory: () => '/etc/meridian/tls',
  stateDirectory: () => STATE,
  metricsListen: () => `0.0.0.0:${PORTS.metrics}`,
  healthListen: () => `0.0.0.0:${PORTS.health}`,
  grpcListen: () => `0.0.0.0:${PORTS.grpc}`,
  syncAddress: () => `sync:${PORTS.grpc}`,
  catalogueDirectory: () => '/app/catalogue',
  blobDirectory: () => `${STATE}/blobs`,
  identityFile: () => `${STATE}/identity.json`,
  streamReplicas: () => String(BROKERS),
};

/** Names by which pods of the region, brokers included, reach its brokers. */
export function brokerHosts(): string[] {
  return Array.from({ length: BROKERS }, (_, i) => `nats-${i}.nats-headless`);
}

/** Environment of a program in a region: only of fields that its schema has. */
export function environmentOf({ schema }: Program, region: string): Record<string, string> {
  const entries = Object.keys(schema.shape).flatMap((field): [string, string][] => {
    const value = VALUES[field];
    return value === undefined ? [] : [[variableOf(field), value(region)]];
  });
  return Object.fromEntries(entries);
}
