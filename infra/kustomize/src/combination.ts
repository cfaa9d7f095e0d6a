import { Failure } from '@meridian/failure';

/** Parts of a deployment that not every cluster has the kinds for, or wants. */
export const COMPONENTS = ['keda', 'hpa', 'service-monitor', 'cert-manager'] as const;
export type ComponentName = (typeof COMPONENTS)[number];

/** A region's overlay with some components. */
export interface Combination {
  readonly region: string;
  readonly components: readonly ComponentName[];
}

/** All that are supported, of one region: both autoscalers together are not. */
export function combinationsOf(region: string): Combination[] {
  let sets: ComponentName[][] = [[]];
  for (const name of COMPONENTS) sets = sets.flatMap((set) => [set, [...set, name]]);
  return sets.filter((set) => !isContradiction(set)).map((components) => ({ region, components }));
}

/** @throws Failure INVALID_ARGUMENT / COMPONENTS_INVALID that lists what there is. */
export function parseComponents(text: string): ComponentName[] {
  const names = text.split(/[\s,]+/).filter((name) => name !== '');
  const unknown = names.filter((name) => !isComponent(name));
  if (unknown.length > 0)
    throw invalid(`there is no component ${unknown.join(', ')}; there are ${COMPONENTS.join(', ')}`);
  const components = COMPONENTS.filter((name) => names.includes(name));
  if (isContradiction(components)) throw invalid('keda and hpa both scale the workers: choose one');
  return components;
}

export function describe({ region, components }: Combination): string {
  return [region, ...components].join(' + ');
}

function isComponent(name: string): name is ComponentName {
  return (COMPONENTS as readonly string[]).includes(name);
}

function isContradiction(components: readonly ComponentName[]): boolean {
  return components.includes('keda') && components.includes('hpa');
}

function invalid(message: string): Failure {
  return new Failure('INVALID_ARGUMENT', message, { reason: 'COMPONENTS_INVALID' });
}
