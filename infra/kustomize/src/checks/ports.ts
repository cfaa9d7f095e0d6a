import { HEALTH_PATHS } from '@meridian/runtime';
import type { Container, Probe } from 'kubernetes-types/core/v1.js';
import { containersOf, placeOf, type Workload, workloadsOf } from '../manifest.ts';
import { type Check, policiesOf, selected, servicesOf } from './rendered.ts';

/** Paths of nats-server's monitor that say whether it can work. */
const BROKER_PATHS = ['/healthz', '/healthz?js-server-only=true', '/healthz?js-enabled-only=true'];
const OWN_PATHS: readonly string[] = Object.values(HEALTH_PATHS);

/** Doors lead to ports that a container has, and probes ask at ports and paths that the program in it has. */
export const ports: Check = (rendered) => [
  ...servicesOf(rendered).flatMap((service) =>
    (service.spec?.ports ?? []).flatMap(({ port, targetPort }) =>
      selected(rendered, service.spec?.selector).flatMap((workload) => {
        const found = portOf(containersOf(workload), targetPort);
        if (found === undefined) return [`${placeOf(service)}: ${placeOf(workload)} has no port ${targetPort}`];
        // The public port of a door between regions is what regions.yaml says.
        const isPublic = service.spec?.type === 'LoadBalancer';
        return found === port || isPublic ? [] : [`${placeOf(service)}: port ${port} is ${found} in the container`];
      }),
    ),
  ),
  ...policiesOf(rendered).flatMap((policy) =>
    selected(rendered, policy.spec?.podSelector?.matchLabels).flatMap((workload) =>
      (policy.spec?.ingress ?? [])
        .flatMap((rule) => rule.ports ?? [])
        // A policy for all of them may open a port that one of them does not have.
        .filter(({ port }) => portOf(containersOf(workload), port) === undefined && isForOne(policy.spec?.podSelector))
        .map(({ port }) => `${placeOf(policy)}: opens port ${port}, which ${placeOf(workload)} does not have`),
    ),
  ),
  ...workloadsOf(rendered.objects).flatMap((workload) =>
    (workload.spec?.template?.spec?.containers ?? []).flatMap((container) => probeProblems(workload, container)),
  ),
];

function isForOne(selector: { readonly matchLabels?: Readonly<Record<string, string>> } | undefined): boolean {
  return selector?.matchLabels?.['app.kubernetes.io/name'] !== undefined;
}

function portOf(containers: readonly Container[], wanted: string | number | undefined): number | undefined {
  const all = containers.flatMap((container) => container.ports ?? []);
  return all.find(({ name, containerPort }) => (typeof wanted === 'number' ? containerPort : name) === wanted)
    ?.containerPort;
}

function probeProblems(workload: Workload, container: Container): string[] {
  const place = `${placeOf(workload)}: container ${container.name}`;
  const { readinessProbe, livenessProbe, startupProbe } = container;
  const probes = [readinessProbe, livenessProbe, startupProbe].filter((probe) => probe !== undefined);
  const needed = [
    ...(readinessProbe === undefined ? [`${place}: has no readiness probe`] : []),
    ...(livenessProbe === undefined ? [`${place}: has no liveness probe`] : []),
  ];
  return [...needed, ...probes.flatMap((probe) => oneProbe(place, container, probe))];
}

function oneProbe(place: string, container: Container, { httpGet }: Probe): string[] {
  if (httpGet === undefined) return [`${place}: a probe that is no HTTP question is not known here`];
  const isBroker = container.image?.includes('meridian/broker') === true;
  const paths = isBroker ? BROKER_PATHS : OWN_PATHS;
  return [
    ...(portOf([container], httpGet.port) === undefined ? [`${place}: a probe asks at port ${httpGet.port}`] : []),
    ...(paths.includes(httpGet.path ?? '') ? [] : [`${place}: nothing answers a probe at ${httpGet.path}`]),
  ];
}
