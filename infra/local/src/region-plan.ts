import { getCompileCacheDir } from 'node:module';
import { dirname, join } from 'node:path';
import type { RegionPaths, StatePaths } from './paths.ts';

export const SERVICES = ['sync', 'scheduler', 'optimizer', 'inference-worker'] as const;
export type ServiceName = (typeof SERVICES)[number];

/** Certificate folder and NATS role of each service. */
export const ROLE_OF = {
  sync: 'sync',
  scheduler: 'scheduler',
  optimizer: 'optimizer',
  'inference-worker': 'worker',
} as const satisfies Record<ServiceName, string>;

export interface RegionPlan {
  readonly region: string;
  readonly paths: RegionPaths;
  readonly ports: {
    readonly client: number;
    readonly leaf: number;
    readonly monitor: number;
    readonly scheduler: number;
    readonly sync: number;
    readonly optimizer: number;
    readonly metrics: Readonly<Record<string, number>>;
  };
  /** Instances to run: `inference-worker-2` is the second worker. */
  readonly instances: readonly { readonly service: ServiceName; readonly name: string }[];
}

export function regionPlan(
  region: string,
  paths: RegionPaths,
  port: (name: string) => number,
  workers: number,
): RegionPlan {
  const instances = instancesOf(workers);
  const metrics = Object.fromEntries(instances.map(({ name }) => [name, port(`${region}/metrics/${name}`)]));
  return {
    region,
    paths,
    ports: {
      client: port(`${region}/client`),
      leaf: port(`${region}/leaf`),
      monitor: port(`${region}/monitor`),
      scheduler: port(`${region}/grpc`),
      sync: port(`${region}/sync`),
      optimizer: port(`${region}/optimizer`),
      metrics,
    },
    instances,
  };
}

export function regionPortNames(region: string, workers: number): string[] {
  const doors = ['client', 'leaf', 'monitor', 'grpc', 'sync', 'optimizer'].map((door) => `${region}/${door}`);
  return [...doors, ...instancesOf(workers).map(({ name }) => `${region}/metrics/${name}`)];
}

function instancesOf(workers: number): { service: ServiceName; name: string }[] {
  const numbered = Array.from({ length: workers }, (_, i) => ({
    service: 'inference-worker' as const,
    name: i === 0 ? 'inference-worker' : `inference-worker-${i + 1}`,
  }));
  const single = (['sync', 'scheduler', 'optimizer'] as const).map((service) => ({ service, name: service }));
  return [...single, ...numbered];
}

/**
 * The whole environment of one service instance: nothing is inherited from the shell that started the run, but the
 * folder in which Node keeps compiled modules.
 */
export function serviceEnvironment(
  plan: RegionPlan,
  state: StatePaths,
  instance: { readonly service: ServiceName; readonly name: string },
  extra: Readonly<Record<string, string>>,
): Record<string, string> {
  const role = ROLE_OF[instance.service];
  const certificates = join(state.certificates, plan.region);
  const compileCache = getCompileCacheDir(); // that of this process: Node adds its version as the last part
  const common = {
    MERIDIAN_REGION: plan.region,
    MERIDIAN_REPLICA: instance.name,
    MERIDIAN_TOPOLOGY_FILE: plan.paths.topologyFile,
    MERIDIAN_NATS_URL: `tls://127.0.0.1:${plan.ports.client}`,
    MERIDIAN_NATS_SEED_FILE: join(certificates, 'nkeys', `${role}.seed`),
    MERIDIAN_TLS_DIRECTORY: join(certificates, role),
    MERIDIAN_STATE_DIRECTORY: plan.paths.service(instance.name),
    MERIDIAN_METRICS_LISTEN: `127.0.0.1:${plan.ports.metrics[instance.name]}`,
    ...(compileCache !== undefined && { NODE_COMPILE_CACHE: dirname(compileCache) }),
    ...extra,
  };
  const own: Readonly<Record<ServiceName, Readonly<Record<string, string>>>> = {
    sync: {
      MERIDIAN_GRPC_LISTEN: `127.0.0.1:${plan.ports.sync}`,
      MERIDIAN_CATALOGUE_DIRECTORY: state.models,
      MERIDIAN_BLOB_DIRECTORY: join(plan.paths.service('sync'), 'blobs'),
    },
    scheduler: {
      MERIDIAN_GRPC_LISTEN: `127.0.0.1:${plan.ports.scheduler}`,
      MERIDIAN_SYNC_ADDRESS: `127.0.0.1:${plan.ports.sync}`,
    },
    optimizer: { MERIDIAN_GRPC_LISTEN: `127.0.0.1:${plan.ports.optimizer}` },
    'inference-worker': { MERIDIAN_SYNC_ADDRESS: `127.0.0.1:${plan.ports.sync}` },
  };
  return { ...common, ...own[instance.service] };
}
