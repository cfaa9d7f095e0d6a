import { access } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Failure } from '@meridian/failure';
import { fetchSamplePhotographs, readSamples, type Sample } from '@meridian/local';
import { fail, systemClock } from '@meridian/runtime';
import { regionOf } from '@meridian/topology';
import { Command } from 'commander';
import { stringify } from 'yaml';
import { parseComponents } from './combination.ts';
import { deploy, diff, undeploy, undo } from './deploy.ts';
import { readSources, requireGenerated, type Sources, writeGenerated } from './generated-files.ts';
import { type Kubectl, kubectlAt, must, requireCluster } from './kubectl.ts';
import { parseManifests } from './manifest.ts';
import { render } from './render.ts';
import { secretKeys } from './secret-names.ts';
import { ensureSecrets, secretManifests } from './secrets.ts';
import { smoke } from './smoke.ts';
import { problemsIn, validate } from './validate.ts';

const repository = resolve(import.meta.dirname, '..', '..', '..');
const state = resolve(process.env.MERIDIAN_STATE ?? join(repository, '.state'));
const stateRoot = join(state, 'kubernetes');
const say = (line: string): void => void process.stdout.write(`${line}\n`);

interface Place {
  readonly region: string;
  readonly components: string;
  readonly tag: string;
  readonly registry: string;
}

interface ClusterPlace extends Place {
  readonly context: string;
  readonly certificates: string;
  readonly samples: string;
  readonly confirm: string;
}

async function rendering({ region, components, tag, registry }: Place): Promise<string> {
  const { topology } = await readSources(repository);
  regionOf(topology, region);
  const own = { ...(tag !== '' && { tag }), ...(registry !== '' && { registry }) };
  return render({ region, components: parseComponents(components) }, { repository, stateRoot, ...own });
}

async function judge(): Promise<void> {
  const { combinations, objects, problems } = await validate(await readSources(repository), stateRoot);
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  if (problems.length > 0) throw new Failure('FAILED_PRECONDITION', `${problems.length} problems in the manifests`);
  say(`validate: ${combinations} combinations, ${objects} different objects: fields, types and references are good`);
}

/** What is deployed has been judged: a cluster need not find what can be found here. */
async function judged(place: Place, sources: Sources) {
  const objects = parseManifests(await rendering(place));
  const combination = { region: place.region, components: parseComponents(place.components) };
  await requireGenerated(sources);
  const problems = await problemsIn(sources, combination, objects);
  if (problems.length > 0)
    throw new Failure('FAILED_PRECONDITION', `the manifests are not good:\n${problems.join('\n')}`);
  return objects;
}

function clusterOf({ context }: ClusterPlace): Kubectl {
  if (context !== '') return kubectlAt(context);
  throw new Failure(
    'INVALID_ARGUMENT',
    'KUBE_CONTEXT names the cluster of the region: kubectl config get-contexts lists them',
    {
      reason: 'CONTEXT_MISSING',
    },
  );
}

async function makeSecrets(place: ClusterPlace): Promise<void> {
  const { topology, base } = await readSources(repository);
  regionOf(topology, place.region);
  const kubectl = clusterOf(place);
  const directory = place.certificates === '' ? '' : resolve(place.certificates);
  const installation = await ensureSecrets(directory, { repository, topology, clockMs: systemClock.nowMs() });
  const secrets = await secretManifests(installation, topology, place.region, base);
  await requireCluster(kubectl);
  const [namespace] = parseManifests(await rendering(place)).filter(({ kind }) => kind === 'Namespace');
  const text = [namespace, ...secrets].map((one) => stringify(one)).join('---\n');
  const apply = ['apply', '--server-side', '--force-conflicts', '--field-manager', 'meridian', '--filename', '-'];
  await must(kubectl, 'making secrets', apply, text);
  say(`${secrets.length} secrets of region ${place.region} are in the cluster; their keys stay in ${directory}`);
}

async function deployRegion(place: ClusterPlace): Promise<void> {
  const sources = await readSources(repository);
  regionOf(sources.topology, place.region);
  const kubectl = clusterOf(place);
  const test = await smokeTest(place);
  const needed = [...secretKeys(sources.topology, place.region, sources.base).keys()];
  const isIssued = parseComponents(place.components).includes('cert-manager');
  // cert-manager makes its own once the certificates are there.
  const secrets = isIssued ? needed.filter((name) => !name.endsWith('-tls')) : needed;
  const objects = await judged(place, sources);
  await deploy({ kubectl, region: place.region, objects, secrets, smoke: test, say });
}

const CERTIFICATES_ADVICE =
  'CERTIFICATES names the folder that `make secrets` has made: a photograph is sent as its client';

/** What it needs is there before anything is changed. */
async function smokeTest(place: ClusterPlace): Promise<() => Promise<void>> {
  const { topology } = await readSources(repository);
  const { name: region } = regionOf(topology, place.region);
  clusterOf(place);
  if (place.certificates === '') throw new Failure('INVALID_ARGUMENT', CERTIFICATES_ADVICE);
  const client = join(resolve(place.certificates), 'client');
  await access(join(client, 'key.pem')).catch((cause) => {
    throw new Failure('FAILED_PRECONDITION', `${client} has no identity of a client: run make secrets first`, {
      cause,
    });
  });
  const sample = await firstSample(place.samples);
  return () => smoke({ context: place.context, region, client, sample, clock: systemClock });
}

async function firstSample(directory: string): Promise<Sample> {
  const packageScript = join(repository, 'tools', 'provision', 'debian-package.sh');
  const fetched =
    directory === ''
      ? await fetchSamplePhotographs({ stateRoot: state, packageScript })
      : { directory: resolve(directory) };
  if ('problem' in fetched)
    throw new Failure('FAILED_PRECONDITION', `no photograph to recognise (${fetched.problem}): give SAMPLES=dir`);
  const list = directory === '' ? join(repository, 'infra', 'local') : fetched.directory;
  const [sample] = await readSamples(join(list, 'samples.yaml'), fetched.directory);
  if (sample === undefined) throw new Failure('FAILED_PRECONDITION', `${list}/samples.yaml lists no photograph`);
  return sample;
}

async function removeRegion(place: ClusterPlace): Promise<void> {
  const { topology } = await readSources(repository);
  regionOf(topology, place.region);
  if (place.confirm !== place.region)
    throw new Failure('INVALID_ARGUMENT', `this stops the region; say that you mean it: CONFIRM=${place.region}`);
  await undeploy(clusterOf(place), parseManifests(await rendering(place)));
  say(`region ${place.region} is gone; its namespace, secrets and claims stay: kubectl delete namespace meridian`);
}

const program = new Command('meridian-kubernetes').description('manifests of a region, and what is done with them');
program
  .command('overlays')
  .description('writes what is generated from regions.yaml, the subjects and the schemas')
  .option('--check', 'only says what differs')
  .action(async ({ check }: { check?: boolean }) =>
    readSources(repository)
      .then((sources) => (check === true ? requireGenerated(sources) : writeGenerated(sources)))
      .catch(fail),
  );
program
  .command('validate')
  .description('renders and judges every combination')
  .action(() => judge().catch(fail));

const ACTIONS: readonly [string, string, (place: ClusterPlace) => Promise<void>][] = [
  ['render', 'prints the manifests of a region', async (place) => say(await rendering(place))],
  ['secrets', 'makes the secrets of a region in its cluster', makeSecrets],
  ['diff', 'prints what a deploy would change', async (place) => diffRegion(place)],
  ['deploy', 'brings a region to the manifests, or back to what it was', deployRegion],
  ['undo', 'brings back what ran before the last deploy', async (place) => undoRegion(place)],
  ['undeploy', 'removes a region but for its namespace, secrets and claims', removeRegion],
  ['smoke', 'sends a photograph and waits until it is recognised', async (place) => smokeRegion(place)],
];

async function diffRegion(place: ClusterPlace): Promise<void> {
  const objects = parseManifests(await rendering(place));
  say((await diff(clusterOf(place), objects)) || 'nothing would change');
}

async function undoRegion(place: ClusterPlace): Promise<void> {
  const objects = parseManifests(await rendering(place));
  await undo(clusterOf(place), objects, say);
}

async function smokeRegion(place: ClusterPlace): Promise<void> {
  const test = await smokeTest(place);
  await requireCluster(clusterOf(place));
  await test();
  say(`region ${place.region}: a photograph was recognised`);
}

for (const [name, description, action] of ACTIONS)
  program
    .command(name)
    .description(description)
    .requiredOption('--region <name>', 'one of regions.yaml')
    .option('--components <names>', 'keda or hpa, service-monitor, cert-manager', '')
    .option('--tag <tag>', 'of the images; default: the version of package.json', '')
    .option('--registry <prefix>', 'put before the names of the images', '')
    .option('--context <name>', 'of the kubeconfig: the cluster of the region', '')
    .option('--certificates <folder>', 'with the keys of the installation, outside of the repository', '')
    .option('--samples <folder>', 'with photographs and a samples.yaml; default: those of Debian', '')
    .option('--confirm <region>', 'of undeploy', '')
    .action((place: ClusterPlace) => action(place).catch(fail));
await program.parseAsync();
