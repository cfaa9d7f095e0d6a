import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readSources, type Sources } from './generated-files.ts';
import { type Manifest, parseManifests, type Workload } from './manifest.ts';
import { typeProblems } from './object-types.ts';
import { render } from './render.ts';
import { problemsIn } from './validate.ts';

/**
 * Goal: a mistake in a manifest is found here, not by a cluster. Method: what kubectl renders is good; then one mistake at a time
 * is made in it, of each kind that the checks know.
 */
const repository = resolve(import.meta.dirname, '..', '..', '..');
const combination = { region: 'shanghai', components: ['keda', 'service-monitor', 'cert-manager'] } as const;
let sources: Sources;
let stateRoot: string;
let good: Manifest[];

beforeAll(async () => {
  stateRoot = await mkdtemp(join(tmpdir(), 'meridian-manifests-'));
  sources = await readSources(repository);
  good = parseManifests(await render(combination, { repository, stateRoot }));
});
afterAll(() => rm(stateRoot, { recursive: true }));

/** Fields as a person edits them: nothing about them is known. */
type Fields = { [field: string]: Fields } & Fields[];

function broken(place: string, change: (object: Fields) => void): Manifest[] {
  const objects = structuredClone(good);
  const [kind, name] = place.split('/');
  const object = objects.find((one) => one.kind === kind && one.metadata.name.replace(/-[a-z0-9]{10}$/, '') === name);
  if (object === undefined) throw new RangeError(`nothing renders ${place}`);
  change(object as unknown as Fields);
  return objects;
}

const pod = (object: Fields) => object.spec?.template?.spec as Fields;
const container = (object: Fields) => pod(object).containers?.[0] as Fields;
const set = (object: Fields | undefined, field: string, value: unknown) => {
  Object.assign(object as object, { [field]: value });
};
const drop = (object: Fields | undefined, field: string) => {
  Reflect.deleteProperty(object as object, field);
};

test('what is rendered has no problem', async () => {
  expect(await problemsIn(sources, combination, good)).toEqual([]);
  expect(
    good
      .filter(({ kind }) => kind === 'StatefulSet')
      .map(({ metadata }) => metadata.name)
      .sort(),
  ).toEqual(['nats', 'scheduler', 'sync']);
});

const MISTAKES: readonly [what: string, place: string, change: (object: Fields) => void, problem: RegExp][] = [
  [
    'a selector of others',
    'Service/sync',
    (o) => set(o.spec?.selector, 'app.kubernetes.io/name', 'sink'),
    /Service\/sync: selector .* selects no pod/,
  ],
  [
    'a selector that its own pods lack',
    'Deployment/optimizer',
    (o) => set(o.spec?.selector?.matchLabels, 'a', 'b'),
    /does not match the labels of its own pods/,
  ],
  [
    'a budget of nothing',
    'PodDisruptionBudget/nats',
    (o) => set(o.spec?.selector?.matchLabels, 'app.kubernetes.io/name', 'x'),
    /PodDisruptionBudget\/nats: selector .* selects no pod/,
  ],
  [
    'a policy of nothing',
    'NetworkPolicy/links-of-brokers',
    (o) => set(o.spec?.podSelector?.matchLabels, 'app.kubernetes.io/name', 'x'),
    /links-of-brokers: podSelector/,
  ],
  [
    'a peer that is not there',
    'NetworkPolicy/sync',
    (o) => set(o.spec?.ingress?.[0]?.from?.[0]?.podSelector?.matchLabels, 'app.kubernetes.io/part-of', 'x'),
    /NetworkPolicy\/sync: the peer/,
  ],
  [
    'a ConfigMap that is not there',
    'StatefulSet/scheduler',
    (o) => set(pod(o).volumes?.[0]?.configMap, 'name', 'regions'),
    /there is no ConfigMap\/regions/,
  ],
  [
    'a Secret that nothing makes',
    'StatefulSet/scheduler',
    (o) => set(pod(o).volumes?.[1]?.secret, 'secretName', 'x-tls'),
    /nothing makes Secret\/x-tls/,
  ],
  [
    'a key that the Secret has not',
    'StatefulSet/scheduler',
    (o) => set(pod(o).volumes?.[1]?.secret?.items?.[0], 'key', 'ca.pem'),
    /the secret has no key ca\.pem/,
  ],
  [
    'a key that the ConfigMap has not',
    'StatefulSet/nats',
    (o) => set(container(o).env?.[0]?.valueFrom?.configMapKeyRef, 'key', 'NAME'),
    /has no key NAME/,
  ],
  [
    'a volume that is not there',
    'StatefulSet/sync',
    (o) => set(container(o).volumeMounts?.[3], 'name', 'stat'),
    /there is no volume stat/,
  ],
  [
    'a class that is not there',
    'StatefulSet/sync',
    (o) => set(pod(o), 'priorityClassName', 'high'),
    /there is no PriorityClass\/high/,
  ],
  [
    'an account that is not there',
    'StatefulSet/sync',
    (o) => set(pod(o), 'serviceAccountName', 'x'),
    /there is no ServiceAccount\/x/,
  ],
  [
    'an autoscaler of nothing',
    'ScaledObject/inference-worker',
    (o) => set(o.spec?.scaleTargetRef, 'name', 'worker'),
    /there is no Deployment\/worker/,
  ],
  [
    'a port of the service that is not the container’s',
    'Service/sync',
    (o) => set(o.spec?.ports?.[0], 'port', 7444),
    /Service\/sync: port 7444 is 7443 in the container/,
  ],
  [
    'a target that is not there',
    'Service/scheduler-door',
    (o) => set(o.spec?.ports?.[0], 'targetPort', 'http'),
    /StatefulSet\/scheduler has no port http/,
  ],
  [
    'an open port that is not there',
    'NetworkPolicy/links-of-brokers',
    (o) => set(o.spec?.ingress?.[0]?.ports?.[0], 'port', 7000),
    /opens port 7000/,
  ],
  [
    'a monitor of a port that is not there',
    'ServiceMonitor/meridian',
    (o) => set(o.spec?.endpoints?.[0], 'port', 'metric'),
    /no service that it selects has a port metric/,
  ],
  [
    'a probe at a path that nothing answers',
    'StatefulSet/sync',
    (o) => set(container(o).readinessProbe?.httpGet, 'path', '/healthz'),
    /nothing answers a probe at \/healthz/,
  ],
  [
    'the same of a broker',
    'StatefulSet/nats',
    (o) => set(container(o).readinessProbe?.httpGet, 'path', '/readyz'),
    /nothing answers a probe at \/readyz/,
  ],
  [
    'a probe at a port that is not there',
    'StatefulSet/sync',
    (o) => set(container(o).livenessProbe?.httpGet, 'port', 'http'),
    /a probe asks at port http/,
  ],
  ['no readiness', 'StatefulSet/sync', (o) => drop(container(o), 'readinessProbe'), /has no readiness probe/],
  [
    'readiness asked at another door',
    'StatefulSet/sync',
    (o) => set(container(o).readinessProbe?.httpGet, 'port', 'metrics'),
    /readiness is not asked for at port health/,
  ],
  [
    'a variable that the schema has not',
    'ConfigMap/sync-environment',
    (o) => set(o.data, 'MERIDIAN_GRPC_LISTENS', '0.0.0.0:1'),
    /sync knows no variable MERIDIAN_GRPC_LISTENS/,
  ],
  [
    'a value that the schema refuses',
    'ConfigMap/sync-environment',
    (o) => set(o.data, 'MERIDIAN_NATS_URL', 'http://nats'),
    /MERIDIAN_NATS_URL: expected tls/,
  ],
  [
    'a required variable that is missing',
    'ConfigMap/sync-environment',
    (o) => drop(o.data, 'MERIDIAN_BLOB_DIRECTORY'),
    /MERIDIAN_BLOB_DIRECTORY: is required/,
  ],
  [
    'the initializer’s as well',
    'ConfigMap/initializer-environment',
    (o) => set(o.data, 'MERIDIAN_STREAM_REPLICAS', '9'),
    /MERIDIAN_STREAM_REPLICAS/,
  ],
  [
    'a door at another port',
    'ConfigMap/sync-environment',
    (o) => set(o.data, 'MERIDIAN_HEALTH_LISTEN', '0.0.0.0:8082'),
    /port health is 8081, and it listens on 8082/,
  ],
  [
    'a folder outside of every mount',
    'ConfigMap/sync-environment',
    (o) => set(o.data, 'MERIDIAN_BLOB_DIRECTORY', '/var/blobs'),
    /blobDirectory \/var\/blobs is below no mount/,
  ],
  [
    'state on what cannot be written',
    'ConfigMap/sync-environment',
    (o) => set(o.data, 'MERIDIAN_STATE_DIRECTORY', '/etc/meridian/tls'),
    /stateDirectory .* cannot be written to/,
  ],
  [
    'an address without a service',
    'ConfigMap/scheduler-environment',
    (o) => set(o.data, 'MERIDIAN_SYNC_ADDRESS', 'synch:7443'),
    /nothing answers at synch:7443/,
  ],
  [
    'brokers at another port',
    'ConfigMap/scheduler-environment',
    (o) => set(o.data, 'MERIDIAN_NATS_URL', 'tls://nats-0.nats-headless:4223'),
    /nothing answers at tls:\/\/nats-0\.nats-headless:4223/,
  ],
  [
    'a program that is not there',
    'StatefulSet/sync',
    (o) => set(container(o).args, '0', 'services/synch/dist/main.js'),
    /there is no services\/synch/,
  ],
  [
    'a secret of the brokers that nothing gives',
    'ConfigMap/nats-configuration',
    (o) => set(o.data, 'nats.conf', `${o.data?.['nats.conf']}\nx: $LINK_TOKYO_URL\n`),
    /needs LINK_TOKYO_URL, which nothing gives/,
  ],
  [
    'an image of others',
    'StatefulSet/sync',
    (o) => set(container(o), 'image', 'docker.io/library/node:24'),
    /no Dockerfile of ours builds/,
  ],
  [
    'an image without a version',
    'StatefulSet/sync',
    (o) => set(container(o), 'image', 'meridian/service:latest'),
    /has no version/,
  ],
  [
    'no statement of needs',
    'StatefulSet/sync',
    (o) => drop(container(o), 'resources'),
    /does not say what CPU and memory it needs/,
  ],
  [
    'a root that can be written',
    'StatefulSet/sync',
    (o) => set(container(o).securityContext, 'readOnlyRootFilesystem', false),
    /may write to its root/,
  ],
  [
    'capabilities, of what runs first as well',
    'StatefulSet/sync',
    (o) => drop(pod(o).initContainers?.[0]?.securityContext, 'capabilities'),
    /container initializer: keeps capabilities/,
  ],
  ['root', 'StatefulSet/sync', (o) => set(pod(o).securityContext, 'runAsUser', 0), /may run as root/],
  ['a token', 'StatefulSet/sync', (o) => set(pod(o), 'automountServiceAccountToken', true), /gets a token/],
  [
    'a shared account',
    'StatefulSet/sync',
    (o) => set(pod(o), 'serviceAccountName', 'scheduler'),
    /shares its account with StatefulSet\/scheduler/,
  ],
  [
    'a namespace that is not strict',
    'Namespace/meridian',
    (o) => set(o.metadata?.labels, 'pod-security.kubernetes.io/enforce', 'baseline'),
    /does not enforce restricted/,
  ],
  [
    'no default of refusing',
    'NetworkPolicy/default-deny',
    (o) => set(o.spec, 'policyTypes', ['Ingress']),
    /no policy refuses what no policy allows/,
  ],
  [
    'two schedulers',
    'StatefulSet/scheduler',
    (o) => set(o.spec, 'replicas', 2),
    /StatefulSet\/scheduler: must be a StatefulSet of one/,
  ],
  [
    'a scheduler without a disk',
    'StatefulSet/scheduler',
    (o) => drop(o.spec, 'volumeClaimTemplates'),
    /StatefulSet\/scheduler: must be a StatefulSet of one/,
  ],
  [
    'a number beside an autoscaler',
    'Deployment/inference-worker',
    (o) => set(o.spec, 'replicas', 3),
    /has an autoscaler/,
  ],
  [
    'too little grace',
    'StatefulSet/scheduler',
    (o) => set(pod(o), 'terminationGracePeriodSeconds', 20),
    /is killed after 20 s, and needs more than 25 s/,
  ],
  [
    'too little grace for its drain',
    'StatefulSet/scheduler',
    (o) => container(o).env?.push({ name: 'MERIDIAN_DRAIN_TIMEOUT_MS', value: '60s' } as unknown as Fields),
    /is killed after 45 s, and needs more than 75 s/,
  ],
  ['no budget', 'PodDisruptionBudget/sync', (o) => set(o.spec, 'maxUnavailable', 2), /has not one disruption budget/],
  ['no spread', 'StatefulSet/nats', (o) => drop(pod(o), 'topologySpreadConstraints'), /may be on one node/],
];

test.each(MISTAKES)('%s in %s', async (_, place, change, problem) => {
  expect((await problemsIn(sources, combination, broken(place, change))).join('\n')).toMatch(problem);
});

describe('fields and types', () => {
  const worker = (change: (object: Fields) => void) =>
    broken('Deployment/inference-worker', change).find(
      (one) => one.kind === 'Deployment' && one.metadata.name === 'inference-worker',
    );
  const typo = (place: string, change: (object: Fields) => void) => {
    const [kind, name] = place.split('/');
    return broken(place, change).find((one) => one.kind === kind && one.metadata.name === name) as Workload;
  };

  test('typos, wrong types and unknown kinds are found, each by its name', async () => {
    const rename = (object: Fields | undefined, from: string, to: string) => {
      set(object, to, object?.[from]);
      drop(object, from);
    };
    const mistakes = [
      worker((o) => rename(container(o).ports?.[0], 'containerPort', 'containrPort')),
      typo('PodDisruptionBudget/nats', (o) => rename(o.spec, 'maxUnavailable', 'maxUnavalable')),
      typo('StatefulSet/nats', (o) => set(o.spec, 'replicas', '3')),
      typo('NetworkPolicy/sync', (o) => rename(o.spec?.ingress?.[0], 'from', 'form')),
      typo('ScaledObject/inference-worker', (o) => set(o.spec?.triggers?.[0]?.metadata, 'lagTreshold', '10')),
      typo('ScaledObject/inference-worker', (o) => set(o.spec?.triggers?.[0]?.metadata, 'lagThreshold', 10)),
      typo('ServiceMonitor/meridian', (o) => rename(o.spec?.endpoints?.[0], 'interval', 'every')),
      typo('Certificate/sync', (o) => rename(o.spec, 'dnsNames', 'dnsName')),
      { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'x' } },
    ].filter((one) => one !== undefined);
    const problems = (await typeProblems(mistakes, { stateRoot })).join('\n');
    expect(mistakes).toHaveLength(9);
    expect(problems).toMatch(/Deployment\/inference-worker: .*containrPort/);
    expect(problems).toMatch(/PodDisruptionBudget\/nats: .*maxUnavalable/);
    expect(problems).toMatch(/StatefulSet\/nats: .*'string' is not assignable to type 'number'/);
    expect(problems).toMatch(/NetworkPolicy\/sync: .*"form"/);
    expect(problems).toMatch(/ScaledObject\/inference-worker: .*lagTreshold/);
    expect(problems).toMatch(/ScaledObject\/inference-worker: .*lagThreshold: .*expected string/);
    expect(problems).toMatch(/ServiceMonitor\/meridian: .*every/);
    expect(problems).toMatch(/Certificate\/sync: .*dnsName/);
    expect(problems).toMatch(/Job\/x: kind batch\/v1 Job is not known here/);
  });

  test('a compiler that does not run is no good result', async () => {
    await expect(typeProblems(good, { stateRoot, tsc: 'false' })).rejects.toMatchObject({
      reason: 'TYPE_CHECK_FAILED',
    });
  });
});
