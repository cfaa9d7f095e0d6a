import type { ConfigMap, Container, Volume } from 'kubernetes-types/core/v1.js';
import { containersOf, type Manifest, placeOf, type Workload, workloadsOf } from '../manifest.ts';
import { type Check, ofKind, type Rendered } from './rendered.ts';

/** Everything that is named is there: in the same rendering, or among the secrets that are made outside of it. */
export const references: Check = (rendered) => {
  const seen = new Set<string>();
  const twice = rendered.objects.map(placeOf).filter((place) => seen.size === seen.add(place).size);
  return [
    ...twice.map((place) => `${place}: is there twice`),
    ...workloadsOf(rendered.objects).flatMap((workload) => [
      ...namedObjects(workload, rendered),
      ...(workload.spec?.template?.spec?.volumes ?? []).flatMap((volume) => volumeProblems(workload, volume, rendered)),
      ...containersOf(workload).flatMap((container) => containerProblems(workload, container, rendered)),
    ]),
    ...ofKind<ScaleTarget>(rendered.objects, 'HorizontalPodAutoscaler').flatMap((one) => targetProblems(one, rendered)),
    ...ofKind<ScaleTarget>(rendered.objects, 'ScaledObject').flatMap((one) => targetProblems(one, rendered)),
  ];
};

interface ScaleTarget {
  readonly spec?: { readonly scaleTargetRef: { readonly kind?: string; readonly name: string } };
}

function targetProblems(scaler: ScaleTarget & Manifest, rendered: Rendered): string[] {
  const { kind = 'Deployment', name = '' } = scaler.spec?.scaleTargetRef ?? {};
  return missing(rendered, scaler, kind, name);
}

function namedObjects(workload: Workload, rendered: Rendered): string[] {
  const pod = workload.spec?.template?.spec;
  const governing =
    workload.spec !== undefined && 'serviceName' in workload.spec ? workload.spec.serviceName : undefined;
  return [
    ...missing(rendered, workload, 'ServiceAccount', pod?.serviceAccountName ?? '(none)'),
    ...missing(rendered, workload, 'PriorityClass', pod?.priorityClassName ?? '(none)'),
    ...(governing === undefined ? [] : missing(rendered, workload, 'Service', governing)),
  ];
}

function volumeProblems(workload: Workload, { name, configMap, secret }: Volume, rendered: Rendered): string[] {
  const problems = configMap === undefined ? [] : missing(rendered, workload, 'ConfigMap', configMap.name ?? '(none)');
  if (secret === undefined) return problems;
  const keys = rendered.secrets.get(secret.secretName ?? '');
  if (keys === undefined) return [...problems, noSecret(workload, secret.secretName)];
  const absent = (secret.items ?? []).filter(({ key }) => !keys.has(key));
  return [
    ...problems,
    ...absent.map(({ key }) => `${placeOf(workload)}: volume ${name}: the secret has no key ${key}`),
  ];
}

function containerProblems(workload: Workload, container: Container, rendered: Rendered): string[] {
  const place = `${placeOf(workload)}: container ${container.name}`;
  const claims =
    workload.kind === 'StatefulSet' && 'volumeClaimTemplates' in (workload.spec ?? {}) ? claimNames(workload) : [];
  const volumes = [...(workload.spec?.template?.spec?.volumes ?? []).map(({ name }) => name), ...claims];
  const mounts = (container.volumeMounts ?? []).filter(({ name }) => !volumes.includes(name));
  const maps = [
    ...(container.envFrom ?? []).map(({ configMapRef }) => configMapRef?.name),
    ...(container.env ?? []).map(({ valueFrom }) => valueFrom?.configMapKeyRef?.name),
  ].filter((name) => name !== undefined);
  const secrets = (container.envFrom ?? [])
    .map(({ secretRef }) => secretRef?.name)
    .filter((name) => name !== undefined);
  return [
    ...mounts.map(({ name }) => `${place}: there is no volume ${name}`),
    ...maps.flatMap((name) => missing(rendered, workload, 'ConfigMap', name)),
    ...keyProblems(place, container, rendered),
    ...secrets.filter((name) => !rendered.secrets.has(name)).map((name) => noSecret(workload, name)),
  ];
}

function keyProblems(place: string, { env }: Container, { objects }: Rendered): string[] {
  return (env ?? []).flatMap(({ valueFrom }) => {
    const { name, key } = valueFrom?.configMapKeyRef ?? {};
    const map = ofKind<ConfigMap>(objects, 'ConfigMap').find(({ metadata }) => metadata.name === name);
    return map === undefined || key === undefined || key in (map.data ?? {})
      ? []
      : [`${place}: ConfigMap/${name} has no key ${key}`];
  });
}

function claimNames({ spec }: Workload): string[] {
  if (spec === undefined || !('volumeClaimTemplates' in spec)) return [];
  return (spec.volumeClaimTemplates ?? []).map(({ metadata }) => metadata?.name ?? '');
}

function missing({ objects }: Rendered, from: Manifest, kind: string, name: string): string[] {
  if (objects.some((one) => one.kind === kind && one.metadata.name === name)) return [];
  return [`${placeOf(from)}: there is no ${kind}/${name}`];
}

function noSecret(workload: Workload, name: string | undefined): string {
  return `${placeOf(workload)}: nothing makes Secret/${name}`;
}
