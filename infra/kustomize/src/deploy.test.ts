import { beforeEach, describe, expect, test } from '@jest/globals';
import { Failure } from '@meridian/failure';
import { deploy, diff, undeploy, undo } from './deploy.ts';
import type { Manifest } from './manifest.ts';
import { RecordedCluster } from './recorded-cluster.fixture.ts';

/** Goal: what is called at the cluster, in which order, and what is left after a failure. Method: kubectl's calls are recorded. */
let cluster: RecordedCluster;
let said: string[];
beforeEach(() => {
  cluster = new RecordedCluster();
  cluster.secrets.add('nats-secrets').add('sync-tls');
  said = [];
});

const workload = (kind: string, name: string, image: string): Manifest => ({
  ...{ apiVersion: 'apps/v1', kind, metadata: { name } },
  spec: { template: { spec: { containers: [{ image }] } } },
});
const region = (tag: string, last = tag): Manifest[] => [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'meridian' } },
  { apiVersion: 'v1', kind: 'Service', metadata: { name: 'sync' } },
  workload('Deployment', 'inference-worker', `service:${last}`),
  workload('Deployment', 'gateway', `service:${tag}`),
  workload('StatefulSet', 'scheduler', `service:${tag}`),
  workload('StatefulSet', 'sync', `service:${tag}`),
  workload('StatefulSet', 'nats', `broker:1`),
];
const options = (objects: Manifest[], smoke: () => Promise<void> = async () => undefined) => ({
  ...{ kubectl: cluster, region: 'beijing', objects, smoke, secrets: ['nats-secrets', 'sync-tls'] },
  say: (line: string) => void said.push(line),
});
const images = () =>
  Object.fromEntries([...cluster.workloads.keys()].sort().map((name) => [name, cluster.imageOf(name)]));
const changes = () => cluster.calls.filter((call) => !/^(?:version|get)|--dry-run/.test(call));

describe('deploy', () => {
  test('asks first, then changes one workload after the other: brokers, sync, scheduler, others, workers', async () => {
    await deploy(options(region('1'), async () => void cluster.calls.push('a photograph')));
    expect(cluster.calls).toEqual([
      'version --output json --request-timeout 10s',
      'get secrets --output name',
      'apply --dry-run=server',
      'get deployments,statefulsets,controllerrevisions --output json',
      'apply < configmap/last-deploy',
      'apply < namespace/meridian service/sync',
      'apply < statefulset/nats',
      'rollout status statefulset/nats --timeout=600s',
      'apply < statefulset/sync',
      'rollout status statefulset/sync --timeout=600s',
      'apply < statefulset/scheduler',
      'rollout status statefulset/scheduler --timeout=600s',
      'apply < deployment/gateway',
      'rollout status deployment/gateway --timeout=600s',
      'apply < deployment/inference-worker',
      'rollout status deployment/inference-worker --timeout=600s',
      'a photograph',
    ]);
  });

  test('changes nothing without a cluster, with an old kubectl, without secrets, or when the cluster refuses it', async () => {
    cluster.isReachable = false;
    await expect(deploy(options(region('1')))).rejects.toMatchObject({ reason: 'CLUSTER_UNREACHABLE' });
    cluster.version = '1.26.9';
    await expect(deploy(options(region('1')))).rejects.toMatchObject({ reason: 'KUBECTL_TOO_OLD' });
    [cluster.isReachable, cluster.version] = [true, '1.27.0'];
    cluster.secrets.delete('sync-tls');
    await expect(deploy(options(region('1')))).rejects.toMatchObject({
      reason: 'SECRETS_MISSING',
      message:
        'secrets are missing: sync-tls. Make them first: make secrets REGION=beijing KUBE_CONTEXT=… CERTIFICATES=…',
    });
    cluster.secrets.add('sync-tls');
    cluster.isRefusing = true;
    await expect(deploy(options(region('1')))).rejects.toThrow(/nothing is changed: admission webhook denied/);
    expect(changes()).toEqual([]);
  });

  test('an image that is not there: what changed goes back, in reverse, and what did not is left alone', async () => {
    await deploy(options(region('1')));
    const before = images();
    cluster.lostImages.add('service:2');
    cluster.calls.length = 0;
    await expect(deploy(options(region('2')))).rejects.toMatchObject({
      reason: 'DEPLOY_ROLLED_BACK',
      message: expect.stringContaining('statefulset/sync does not become ready: error: timed out'),
    });
    expect(images()).toEqual(before);
    await expect(undo(cluster, region('1'), () => undefined)).rejects.toMatchObject({ reason: 'NOTHING_TO_UNDO' });
    // The brokers were applied and are the same: undoing them would bring back something older.
    expect(changes().slice(2)).toEqual([
      'apply < statefulset/nats',
      'rollout status statefulset/nats --timeout=600s',
      'apply < statefulset/sync',
      'rollout status statefulset/sync --timeout=600s',
      'rollout undo statefulset/sync --to-revision=2',
      // A pod that never became ready holds up a StatefulSet, also on its way back.
      'delete pod sync-0 --ignore-not-found --wait=false',
      'rollout status statefulset/sync --timeout=600s',
      'delete configmap last-deploy --ignore-not-found',
    ]);
    expect(said.at(-1)).toBe('statefulset/sync: back at revision 2');
  });

  test('an image that is missing in the last workload: all that changed goes back', async () => {
    await deploy(options(region('1')));
    const before = images();
    cluster.lostImages.add('service:lost');
    cluster.calls.length = 0;
    await expect(deploy(options(region('2', 'lost')))).rejects.toMatchObject({ reason: 'DEPLOY_ROLLED_BACK' });
    expect(images()).toEqual(before);
    expect(cluster.calls.filter((call) => call.startsWith('rollout undo')).map((call) => call.split(' ')[2])).toEqual([
      'deployment/inference-worker',
      'deployment/gateway',
      'statefulset/scheduler',
      'statefulset/sync',
    ]);
  });

  test('no photograph is recognised: the same', async () => {
    await deploy(options(region('1')));
    const before = images();
    const blind = async () => {
      throw new Failure('UNAVAILABLE', 'no photograph is recognised', { reason: 'NOT_RECOGNISED' });
    };
    await expect(deploy(options(region('2'), blind))).rejects.toThrow(/no photograph is recognised.*were before/);
    expect(images()).toEqual(before);
  });

  test('the first deploy of a region: what was made is deleted again', async () => {
    cluster.lostImages.add('service:1');
    await expect(deploy(options(region('1')))).rejects.toMatchObject({ reason: 'DEPLOY_ROLLED_BACK' });
    expect(images()).toEqual({});
    expect(said).toContain('statefulset/nats: deleted, it was not there before');
  });

  test('a rollback that fails says so, and where to look', async () => {
    await deploy(options(region('1')));
    const dead = async () => {
      cluster.isReachable = false;
      throw new Failure('UNAVAILABLE', 'the cluster is gone');
    };
    await expect(deploy(options(region('2'), dead))).rejects.toMatchObject({
      reason: 'DEPLOY_STUCK',
      message: expect.stringMatching(/the cluster is gone; and rolling back failed: .*connection refused/),
    });
  });
});

describe('undo', () => {
  const say = (line: string) => void said.push(line);

  test('brings back what ran before the last deploy, once', async () => {
    await deploy(options(region('1')));
    const before = images();
    await deploy(options(region('2')));
    await undo(cluster, region('2'), say);
    expect(images()).toEqual(before);
    await expect(undo(cluster, region('2'), say)).rejects.toMatchObject({ reason: 'NOTHING_TO_UNDO' });
    expect(images()).toEqual(before);
  });

  test('of a deploy that changed nothing it undoes nothing; of the first one it deletes nothing', async () => {
    await deploy(options(region('1')));
    await undo(cluster, region('1'), say);
    expect(Object.keys(images())).toHaveLength(5);
    await deploy(options(region('1')));
    await undo(cluster, region('1'), say);
    expect(said.at(-1)).toBe('no workload has changed since');
    expect(cluster.calls.filter((call) => call.startsWith('rollout undo'))).toEqual([]);
  });
});

test('undeploy keeps the namespace, and what is in no manifest: secrets and claims', async () => {
  await deploy(options(region('1')));
  const given: string[] = [];
  const spied = {
    run: (args: readonly string[], input?: string) => {
      if (args[0] === 'delete') given.push(`${args.join(' ')}\n${input ?? ''}`);
      return cluster.run(args, input);
    },
  };
  await undeploy(spied, region('1'));
  expect(images()).toEqual({});
  expect(given.join('\n')).not.toMatch(/kind: Namespace|secrets?\b|persistentvolumeclaim/i);
  expect(cluster.record).toBeUndefined();
});

test('diff prints differences, and fails when kubectl does', async () => {
  const answering = (code: number, stdout: string) => ({
    run: async (args: readonly string[]) =>
      args[0] === 'version' ? cluster.run(args) : { code, stdout, stderr: 'forbidden' },
  });
  expect(await diff(answering(0, ''), region('1'))).toBe('');
  expect(await diff(answering(1, '-a\n+b'), region('1'))).toBe('-a\n+b');
  await expect(diff(answering(2, ''), region('1'))).rejects.toThrow(/forbidden/);
});
