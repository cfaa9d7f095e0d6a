import { formatTopology, type Topology } from '@meridian/topology';
import { stringify } from 'yaml';
import type { BaseFolder } from './base-folder.ts';
import { brokerConfig } from './broker-config.ts';
import { certificates } from './cert-manager.ts';
import { crossing, regionView } from './crossing.ts';
import { environmentOf, NAMESPACE } from './environment.ts';

/** Images that infra/docker/Dockerfile builds, each from the target of its last part. */
export const IMAGES = ['meridian/service', 'meridian/broker'] as const;

/** On everything that is deployed: what an older rendering had can be found by it. */
export const PART_OF = { pairs: { 'app.kubernetes.io/part-of': 'meridian' } } as const;

const HEADER = '# Generated from regions.yaml: `make overlays` writes it anew.\n';

/** Files of one region's overlay by their path in it. They hold no secret. */
export function overlay(topology: Topology, region: string, base: BaseFolder, tag: string): Map<string, string> {
  return new Map([
    ['kustomization.yaml', yaml(kustomization(region, base, tag))],
    ['regions.yaml', `${HEADER}${formatTopology(regionView(topology, region))}`],
    ['nats.conf', `${HEADER}${brokerConfig(topology, region)}`],
    ['crossing.yaml', documents(crossing(topology, region))],
    ['cert-manager/kustomization.yaml', yaml(certManagerComponent())],
    ['cert-manager/certificates.yaml', documents(certificates(topology, region, base.identities))],
    ...base.programs.map((program): [string, string] => [
      `${program.name}.env`,
      `${HEADER}${Object.entries(environmentOf(program, region))
        .map(([name, value]) => `${name}=${value}\n`)
        .join('')}`,
    ]),
  ]);
}

function kustomization(region: string, base: BaseFolder, tag: string): object {
  return {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    namespace: NAMESPACE,
    resources: [...base.folders.map((folder) => `../../base/${folder}`), 'crossing.yaml'],
    labels: [PART_OF],
    images: IMAGES.map((name) => ({ name, newTag: tag })),
    // Their names carry their digest: what changes in them rolls the pods that read them.
    configMapGenerator: [
      { name: 'region', files: ['regions.yaml'] },
      { name: 'nats-configuration', files: ['nats.conf'] },
      { name: 'nats-environment', literals: [`REGION=${region}`] },
      ...base.programs.map(({ name }) => ({ name: `${name}-environment`, envs: [`${name}.env`] })),
    ],
  };
}

function certManagerComponent(): object {
  return {
    apiVersion: 'kustomize.config.k8s.io/v1alpha1',
    kind: 'Component',
    resources: ['certificates.yaml'],
  };
}

export function yaml(value: unknown): string {
  return `${HEADER}${stringify(value, { lineWidth: 0, aliasDuplicateObjects: false })}`;
}

function documents(values: readonly unknown[]): string {
  const texts = values.map((value) => stringify(value, { lineWidth: 0, aliasDuplicateObjects: false }));
  return `${HEADER}${texts.join('---\n')}`;
}
