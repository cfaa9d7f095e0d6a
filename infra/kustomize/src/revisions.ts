import { z } from 'zod';
import { NAMESPACE } from './environment.ts';
import { type Kubectl, must } from './kubectl.ts';

/** Revision of each workload that is there, by `deployment/<name>` or `statefulset/<name>`. */
export type Revisions = Readonly<Record<string, number>>;

const RECORD = 'last-deploy';
const REVISION = 'deployment.kubernetes.io/revision';

const listSchema = z.object({
  items: z.array(
    z.object({
      kind: z.string(),
      metadata: z.object({ name: z.string(), annotations: z.record(z.string(), z.string()).optional() }),
      status: z.object({ updateRevision: z.string().optional() }).optional(),
      revision: z.number().optional(),
    }),
  ),
});

export async function readRevisions(kubectl: Kubectl): Promise<Revisions> {
  const args = ['get', 'deployments,statefulsets,controllerrevisions', '--namespace', NAMESPACE, '--output', 'json'];
  const { items } = listSchema.parse(JSON.parse(await must(kubectl, 'reading what runs', args)));
  const numbers = new Map(items.map(({ metadata, revision }) => [metadata.name, revision]));
  const revisions: Record<string, number> = {};
  for (const { kind, metadata, status } of items) {
    if (kind === 'Deployment') revisions[`deployment/${metadata.name}`] = Number(metadata.annotations?.[REVISION] ?? 0);
    if (kind === 'StatefulSet')
      revisions[`statefulset/${metadata.name}`] = numbers.get(status?.updateRevision ?? '') ?? 0;
  }
  return revisions;
}

/** Kept in the cluster, so that whoever comes next can undo it. */
export async function recordRevisions(kubectl: Kubectl, before: Revisions): Promise<void> {
  const record = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: RECORD, namespace: NAMESPACE },
    data: { before: JSON.stringify(before) },
  };
  const apply = ['apply', '--server-side', '--force-conflicts', '--field-manager', 'meridian', '--filename', '-'];
  await must(kubectl, 'recording what ran before', apply, JSON.stringify(record));
}

/** Before the last deploy; undefined when there was none, or it has been undone. */
export async function recordedRevisions(kubectl: Kubectl): Promise<Revisions | undefined> {
  const args = ['get', 'configmap', RECORD, '--namespace', NAMESPACE, '--ignore-not-found', '--output', 'json'];
  const text = await must(kubectl, 'reading what ran before', args);
  if (text.trim() === '') return undefined;
  const { data } = z.object({ data: z.object({ before: z.string() }) }).parse(JSON.parse(text));
  return z.record(z.string(), z.number()).parse(JSON.parse(data.before));
}

export async function forgetRevisions(kubectl: Kubectl): Promise<void> {
  await must(kubectl, 'forgetting what ran before', [
    ...['delete', 'configmap', RECORD, '--namespace', NAMESPACE, '--ignore-not-found'],
  ]);
}
