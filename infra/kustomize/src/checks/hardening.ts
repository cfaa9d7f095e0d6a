import type { Container, PodSpec } from 'kubernetes-types/core/v1.js';
import { containersOf, type Manifest, placeOf, type Workload, workloadsOf } from '../manifest.ts';
import { type Check, matches, podLabels, policiesOf, type Rendered } from './rendered.ts';

/** What Pod Security `restricted` asks for, and a little more: least rights, known images, stated needs. */
export const hardening: Check = (rendered) => [
  ...namespaceProblems(rendered.objects),
  ...workloadsOf(rendered.objects).flatMap((workload) => [
    ...podProblems(workload.spec?.template?.spec).map((problem) => `${placeOf(workload)}: ${problem}`),
    ...accountProblems(workload, rendered),
    ...policyProblems(workload, rendered),
    ...containersOf(workload).flatMap((container) =>
      containerProblems(container, rendered.images).map(
        (problem) => `${placeOf(workload)}: container ${container.name}: ${problem}`,
      ),
    ),
  ]),
];

function namespaceProblems(objects: readonly Manifest[]): string[] {
  const namespaces = objects.filter(({ kind }) => kind === 'Namespace');
  const loose = namespaces.filter(
    ({ metadata }) => metadata.labels?.['pod-security.kubernetes.io/enforce'] !== 'restricted',
  );
  const outside = objects.filter(
    ({ kind, metadata }) => metadata.namespace !== 'meridian' && !['Namespace', 'PriorityClass'].includes(kind),
  );
  return [
    ...(namespaces.length === 1 ? [] : ['there is not one namespace']),
    ...loose.map((one) => `${placeOf(one)}: does not enforce restricted pods`),
    ...outside.map((one) => `${placeOf(one)}: is not in namespace meridian`),
  ];
}

function podProblems(pod: PodSpec | undefined): string[] {
  const context = pod?.securityContext;
  return [
    ...(context?.runAsNonRoot === true && (context.runAsUser ?? 0) > 0 ? [] : ['may run as root']),
    ...(context?.seccompProfile?.type === 'RuntimeDefault' ? [] : ['has no seccomp profile']),
    ...(pod?.automountServiceAccountToken === false ? [] : ['gets a token of the API server']),
    ...(pod?.hostNetwork === true || pod?.hostPID === true || pod?.hostIPC === true
      ? ['uses what is of the node']
      : []),
    ...((pod?.volumes ?? []).some((volume) => volume.hostPath !== undefined) ? ['mounts a folder of the node'] : []),
  ];
}

function accountProblems(workload: Workload, { objects }: Rendered): string[] {
  const account = (one: Workload) => one.spec?.template?.spec?.serviceAccountName;
  const sharing = workloadsOf(objects).filter((one) => one !== workload && account(one) === account(workload));
  return sharing.map((one) => `${placeOf(workload)}: shares its account with ${placeOf(one)}`);
}

function policyProblems(workload: Workload, rendered: Rendered): string[] {
  const policies = policiesOf(rendered);
  const denies = policies.some(
    ({ spec }) =>
      Object.keys(spec?.podSelector?.matchLabels ?? {}).length === 0 &&
      spec?.ingress === undefined &&
      spec?.egress === undefined &&
      ['Ingress', 'Egress'].every((type) => spec?.policyTypes?.includes(type)),
  );
  const own = policies.filter(({ spec }) => {
    const labels = spec?.podSelector?.matchLabels ?? {};
    return labels['app.kubernetes.io/name'] !== undefined && matches(labels, podLabels(workload));
  });
  return [
    ...(denies ? [] : ['no policy refuses what no policy allows']),
    ...(own.length > 0 ? [] : [`${placeOf(workload)}: has no network policy of its own`]),
  ];
}

function containerProblems({ image, resources, securityContext }: Container, images: readonly string[]): string[] {
  const { requests, limits } = resources ?? {};
  const [, name = '', tag] = /^(.*?)(?::([\w][\w.-]*))?$/.exec(image ?? '') ?? [];
  const isOurs = images.some((one) => name === one || name.endsWith(`/${one}`));
  return [
    ...(isOurs ? [] : [`no Dockerfile of ours builds ${image}`]),
    ...(tag === undefined || tag === 'latest' ? [`its image ${image} has no version`] : []),
    ...(requests?.cpu && requests.memory ? [] : ['does not say what CPU and memory it needs']),
    ...(limits?.memory ? [] : ['may take all memory of its node']),
    ...(securityContext?.allowPrivilegeEscalation === false ? [] : ['may gain privileges']),
    ...(securityContext?.readOnlyRootFilesystem === true ? [] : ['may write to its root']),
    ...(securityContext?.capabilities?.drop?.includes('ALL') ? [] : ['keeps capabilities']),
  ];
}
