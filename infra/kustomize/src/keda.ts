import { PRIORITY_CLASSES, taskConsumer } from '@meridian/contracts';
import { BROKER_PORTS, NAMESPACE } from './environment.ts';
import type { Manifest } from './manifest.ts';

/** Of tasks that wait for each worker: about what one holds (`prefetchMax` is 24) while it runs. */
const LAG_THRESHOLD = 10;
const MONITOR = `nats-headless.${NAMESPACE}.svc.cluster.local:${BROKER_PORTS.monitor}`;

/**
 * As many workers as the longest queue asks for. A queue is one priority class of one model; only the catalogue's models are
 * known here: others are served by the workers that those ask for.
 */
export function taskAutoscaler(models: readonly string[]): Manifest {
  const queues = models.flatMap((model) => PRIORITY_CLASSES.map((priority) => taskConsumer(priority, model)));
  return {
    apiVersion: 'keda.sh/v1alpha1',
    kind: 'ScaledObject',
    metadata: { name: 'inference-worker' },
    spec: {
      scaleTargetRef: { name: 'inference-worker' },
      pollingInterval: 10,
      cooldownPeriod: 300,
      minReplicaCount: 1,
      maxReplicaCount: 8,
      fallback: { failureThreshold: 3, replicas: 2 },
      triggers: queues.map((consumer) => ({
        type: 'nats-jetstream',
        metadata: {
          natsServerMonitoringEndpoint: MONITOR,
          account: 'APP',
          stream: 'TASKS',
          consumer,
          lagThreshold: String(LAG_THRESHOLD),
          activationLagThreshold: '0',
          useHttps: 'false',
        },
      })),
    },
  };
}
