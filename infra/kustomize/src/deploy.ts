import { Failure } from '@meridian/failure';
import { stringify } from 'yaml';
import { NAMESPACE } from './environment.ts';
import { type Kubectl, must, requireCluster } from './kubectl.ts';
import { type Manifest, workloadsOf } from './manifest.ts';
import { forgetRevisions, readRevisions, recordedRevisions, recordRevisions } from './revisions.ts';
import { rollBack, waitFor } from './rollback.ts';

const APPLY = ['apply', '--server-side', '--force-conflicts', '--field-manager', 'meridian'] as const;
/** The others come after these, in alphabetical order; workers last: they need all. */
const FIRST = ['nats', 'sync', 'scheduler'];
const LAST = ['inference-worker'];

export interface DeployOptions {
  readonly kubectl: Kubectl;
  readonly region: string;
  readonly objects: readonly Manifest[];
  /** That must be there before. */
  readonly secrets: readonly string[];
  /** Whether a photograph is recognised in the region; throws when not. */
  readonly smoke: () => Promise<void>;
  readonly say: (line: string) => void;
}

/**
 * Brings a region to what was rendered, or back to what it was.
 *
 * 1. Until a dry run on the cluster has taken every object nothing is changed.
 * 2. Workloads change one after the other, each when the one before is ready.
 * 3. When one does not become ready, or no photograph is recognised in the end, those that changed get their old
 *    revisions back, and the failure says so. What is no workload (services, policies) stays as it was applied.
 * @throws Failure CLUSTER_UNREACHABLE, SECRETS_MISSING, KUBECTL_FAILED; DEPLOY_ROLLED_BACK or DEPLOY_STUCK.
 */
export async function deploy(o: DeployOptions): Promise<void> {
  const { kubectl, say } = o;
  await requireCluster(kubectl);
  await requireSecrets(o);
  const workloads = ordered(o.objects);
  await must(
    kubectl,
    'the cluster refuses it, nothing is changed',
    [...APPLY, '--dry-run=server', ...STDIN],
    text(o.objects),
  );
  const before = await readRevisions(kubectl);
  await recordRevisions(kubectl, before);
  const changed: string[] = [];
  try {
    const others = o.objects.filter((one) => !workloads.includes(one));
    await must(kubectl, 'applying what is no workload', [...APPLY, ...STDIN], text(others));
    for (const workload of workloads) {
      const name = nameOf(workload);
      changed.push(name);
      await must(kubectl, `applying ${name}`, [...APPLY, ...STDIN], text([workload]));
      await waitFor(kubectl, name);
      say(`${name}: ready`);
    }
    await o.smoke();
    say(`region ${o.region}: a photograph was recognised`);
  } catch (error) {
    throw await rolledBack(o, Failure.from(error), () => rollBack(kubectl, before, changed, true));
  }
}

/** Brings back what ran before the last deploy. @throws Failure FAILED_PRECONDITION / NOTHING_TO_UNDO. */
export async function undo(kubectl: Kubectl, objects: readonly Manifest[], say: (line: string) => void): Promise<void> {
  await requireCluster(kubectl);
  const before = await recordedRevisions(kubectl);
  if (before === undefined)
    throw new Failure('FAILED_PRECONDITION', 'nothing to undo: no deploy is recorded, or it has been undone', {
      reason: 'NOTHING_TO_UNDO',
    });
  const done = await rollBack(kubectl, before, ordered(objects).map(nameOf), false);
  await forgetRevisions(kubectl);
  for (const line of done) say(line);
  if (done.length === 0) say('no workload has changed since');
}

/** Removes what was deployed, also by older renderings. Namespace, secrets and claims stay: they hold keys and accepted jobs. */
export async function undeploy(kubectl: Kubectl, objects: readonly Manifest[]): Promise<void> {
  await requireCluster(kubectl);
  const gone = objects.filter(({ kind }) => kind !== 'Namespace');
  const wait = ['--ignore-not-found', '--wait=true'];
  await must(kubectl, 'deleting', ['delete', ...STDIN, ...wait], text(gone.toReversed()));
  const selector = 'app.kubernetes.io/part-of=meridian';
  await must(kubectl, 'deleting older configuration', [
    ...['delete', 'configmaps', '--namespace', NAMESPACE, '--selector', selector, ...wait],
  ]);
  await forgetRevisions(kubectl);
}

/** What would change, as kubectl prints it; empty when nothing. */
export async function diff(kubectl: Kubectl, objects: readonly Manifest[]): Promise<string> {
  await requireCluster(kubectl);
  const args = ['diff', '--server-side', '--force-conflicts', '--field-manager', 'meridian', ...STDIN];
  const { code, stdout, stderr } = await kubectl.run(args, text(objects));
  // 1 means that there are differences.
  if (code <= 1) return stdout;
  throw new Failure('FAILED_PRECONDITION', `comparing: ${stderr.trim()}`, { reason: 'KUBECTL_FAILED' });
}

const STDIN = ['--filename', '-'] as const;

async function requireSecrets({ kubectl, secrets, region }: DeployOptions): Promise<void> {
  const args = ['get', 'secrets', '--namespace', NAMESPACE, '--output', 'name'];
  const there = new Set((await must(kubectl, 'reading the names of secrets', args)).split('\n'));
  const missing = secrets.filter((name) => !there.has(`secret/${name}`));
  if (missing.length === 0) return;
  const advice = `make secrets REGION=${region} KUBE_CONTEXT=… CERTIFICATES=…`;
  throw new Failure('FAILED_PRECONDITION', `secrets are missing: ${missing.join(', ')}. Make them first: ${advice}`, {
    reason: 'SECRETS_MISSING',
  });
}

async function rolledBack(o: DeployOptions, cause: Failure, back: () => Promise<string[]>): Promise<Failure> {
  o.say(`${cause.message}\nrolling back`);
  try {
    for (const line of await back()) o.say(line);
    await forgetRevisions(o.kubectl);
  } catch (error) {
    const why = `${cause.message}; and rolling back failed: ${Failure.from(error).message}`;
    return new Failure('INTERNAL', `${why}. Look at kubectl --namespace ${NAMESPACE} get pods`, {
      reason: 'DEPLOY_STUCK',
      cause,
    });
  }
  const message = `${cause.message}. The workloads are what they were before`;
  return new Failure('FAILED_PRECONDITION', message, { reason: 'DEPLOY_ROLLED_BACK', cause });
}

function ordered(objects: readonly Manifest[]): Manifest[] {
  const place = ({ metadata: { name } }: Manifest) => {
    const first = FIRST.indexOf(name);
    if (first >= 0) return first;
    return FIRST.length + (LAST.includes(name) ? 1 : 0);
  };
  return workloadsOf(objects).toSorted((a, b) => place(a) - place(b) || (a.metadata.name < b.metadata.name ? -1 : 1));
}

function nameOf({ kind, metadata }: Manifest): string {
  return `${kind.toLowerCase()}/${metadata.name}`;
}

function text(objects: readonly Manifest[]): string {
  return objects.map((one) => stringify(one, { aliasDuplicateObjects: false })).join('---\n');
}
