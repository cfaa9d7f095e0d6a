import type { Service } from 'kubernetes-types/core/v1.js';
import type { NetworkPolicy } from 'kubernetes-types/networking/v1.js';
import type { PodDisruptionBudget } from 'kubernetes-types/policy/v1.js';
import { type Labels, type Manifest, type Workload, workloadsOf } from '../manifest.ts';

/** All objects of one rendered combination, and what is outside of it that they may refer to. */
export interface Rendered {
  readonly repository: string;
  readonly objects: readonly Manifest[];
  /** Keys of the Secrets that are made outside, by name. */
  readonly secrets: ReadonlyMap<string, ReadonlySet<string>>;
  /** Images that our Dockerfile builds, without registry and tag. */
  readonly images: readonly string[];
}

/** Problems that one look at the objects finds; each names the object. */
export type Check = (rendered: Rendered) => Promise<string[]> | string[];

export const servicesOf = ({ objects }: Rendered) => ofKind<Service>(objects, 'Service');
export const policiesOf = ({ objects }: Rendered) => ofKind<NetworkPolicy>(objects, 'NetworkPolicy');
export const budgetsOf = ({ objects }: Rendered) => ofKind<PodDisruptionBudget>(objects, 'PodDisruptionBudget');

export function ofKind<T>(objects: readonly Manifest[], kind: string): (T & Manifest)[] {
  return objects.filter((one) => one.kind === kind) as unknown as (T & Manifest)[];
}

export function podLabels(workload: Workload): Labels {
  return workload.spec?.template?.metadata?.labels ?? {};
}

/** Workloads whose pods have all these labels; all of them when there are none. */
export function selected({ objects }: Rendered, labels: Labels | undefined): Workload[] {
  return workloadsOf(objects).filter((workload) => matches(labels, podLabels(workload)));
}

export function matches(selector: Labels | undefined, labels: Labels): boolean {
  return Object.entries(selector ?? {}).every(([name, value]) => labels[name] === value);
}
