import { z } from 'zod';
import { NAMESPACE } from './environment.ts';
import { type Kubectl, must } from './kubectl.ts';
import { type Revisions, readRevisions } from './revisions.ts';

/** For a workload's pods, all of them, to be ready. A broker reads its store, a worker loads its models. */
export const ROLLOUT_TIMEOUT_S = 600;

const podsSchema = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string() }),
      status: z.object({
        conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
      }),
    }),
  ),
});

/**
 * Brings workloads back to the revisions that they had, the last one first, and waits for each.
 *
 * 1. A workload whose revision is still the same is left alone: undoing it would bring back something older.
 * 2. One that was not there before is deleted when `isNewDeleted`; its claims stay.
 * 3. A StatefulSet does not replace a pod of a bad revision that never became ready, so such pods are deleted.
 * @param workloads in the order in which they were brought forth.
 * @returns what was done to each, for people.
 */
export async function rollBack(
  kubectl: Kubectl,
  before: Revisions,
  workloads: readonly string[],
  isNewDeleted: boolean,
): Promise<string[]> {
  const now = await readRevisions(kubectl);
  const done: string[] = [];
  for (const workload of workloads.toReversed()) {
    const [was, is] = [before[workload], now[workload]];
    if (is === undefined || was === is) continue;
    if (was === undefined) {
      if (!isNewDeleted) continue;
      await must(kubectl, `deleting ${workload}`, ['delete', workload, '--namespace', NAMESPACE, '--ignore-not-found']);
      done.push(`${workload}: deleted, it was not there before`);
      continue;
    }
    await must(kubectl, `undoing ${workload}`, [
      ...['rollout', 'undo', workload, '--namespace', NAMESPACE, `--to-revision=${was}`],
    ]);
    if (workload.startsWith('statefulset/')) await deleteStuckPods(kubectl, workload.slice('statefulset/'.length));
    await waitFor(kubectl, workload);
    done.push(`${workload}: back at revision ${was}`);
  }
  return done;
}

export async function waitFor(kubectl: Kubectl, workload: string): Promise<void> {
  await must(kubectl, `${workload} does not become ready`, [
    ...['rollout', 'status', workload, '--namespace', NAMESPACE, `--timeout=${ROLLOUT_TIMEOUT_S}s`],
  ]);
}

async function deleteStuckPods(kubectl: Kubectl, name: string): Promise<void> {
  const selector = `app.kubernetes.io/name=${name}`;
  const args = ['get', 'pods', '--namespace', NAMESPACE, '--selector', selector, '--output', 'json'];
  const { items } = podsSchema.parse(JSON.parse(await must(kubectl, `reading the pods of ${name}`, args)));
  const isReady = ({ status }: (typeof items)[number]) =>
    status.conditions.some((condition) => condition.type === 'Ready' && condition.status === 'True');
  const stuck = items.filter((pod) => !isReady(pod)).map(({ metadata }) => metadata.name);
  if (stuck.length > 0)
    await must(kubectl, `deleting pods of ${name} that never became ready`, [
      ...['delete', 'pod', ...stuck, '--namespace', NAMESPACE, '--ignore-not-found', '--wait=false'],
    ]);
}
