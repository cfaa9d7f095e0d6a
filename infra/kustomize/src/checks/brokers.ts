import type { ConfigMap } from 'kubernetes-types/core/v1.js';
import { containersOf, workloadsOf } from '../manifest.ts';
import { type Check, ofKind } from './rendered.ts';

/** Every variable of the brokers' configuration has a value: nats-server does not start without one. */
export const brokers: Check = ({ objects, secrets }) => {
  const broker = workloadsOf(objects).find(({ metadata }) => metadata.name === 'nats');
  const container = broker && containersOf(broker)[0];
  if (container === undefined) return ['there is no StatefulSet/nats'];
  const given = new Set([
    ...(container.env ?? []).map(({ name }) => name),
    ...(container.envFrom ?? []).flatMap(({ secretRef }) => [...(secrets.get(secretRef?.name ?? '') ?? [])]),
  ]);
  const map = ofKind<ConfigMap>(objects, 'ConfigMap').find(({ data }) => data?.['nats.conf'] !== undefined);
  const text = map?.data?.['nats.conf'] ?? '';
  const used = new Set(Array.from(text.matchAll(/(?<=[:[,] *)\$([A-Z][A-Z0-9_]*)\b/g), ([, name = '']) => name));
  if (used.size === 0) return ['the brokers have no configuration'];
  return [...used]
    .filter((name) => !given.has(name))
    .map((name) => `StatefulSet/nats: its configuration needs ${name}, which nothing gives`);
};
