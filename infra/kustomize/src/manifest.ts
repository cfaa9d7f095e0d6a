import { Failure } from '@meridian/failure';
import type { Deployment, StatefulSet } from 'kubernetes-types/apps/v1.js';
import type { Container } from 'kubernetes-types/core/v1.js';
import { parseAllDocuments } from 'yaml';

/** One rendered Kubernetes object. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Labels };
  readonly [field: string]: unknown;
}
export type Labels = Readonly<Record<string, string>>;

/** What runs pods. */
export type Workload = (Deployment | StatefulSet) & Manifest;

/** @throws Failure INVALID_ARGUMENT / MANIFEST_INVALID for text that is not a list of named objects. */
export function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text).flatMap((document) => {
    const problem = document.errors[0];
    if (problem !== undefined) throw invalid(problem.message);
    const value: unknown = document.toJS();
    if (value === null) return [];
    if (!isManifest(value)) throw invalid(`an object without kind or name: ${JSON.stringify(value).slice(0, 200)}`);
    return [value];
  });
}

function isManifest(value: unknown): value is Manifest {
  if (typeof value !== 'object' || value === null) return false;
  const { apiVersion, kind, metadata } = value as Partial<Manifest>;
  return typeof apiVersion === 'string' && typeof kind === 'string' && typeof metadata?.name === 'string';
}

/** For people: `StatefulSet/nats`. */
export function placeOf({ kind, metadata }: Manifest): string {
  return `${kind}/${metadata.name}`;
}

export function workloadsOf(objects: readonly Manifest[]): Workload[] {
  return objects.filter((one): one is Workload => one.kind === 'Deployment' || one.kind === 'StatefulSet');
}

/** Those that run first included. */
export function containersOf(workload: Workload): Container[] {
  const pod = workload.spec?.template?.spec;
  return [...(pod?.initContainers ?? []), ...(pod?.containers ?? [])];
}

function invalid(message: string): Failure {
  return new Failure('INVALID_ARGUMENT', message, { reason: 'MANIFEST_INVALID' });
}
