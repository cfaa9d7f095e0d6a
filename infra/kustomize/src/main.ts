import { join, resolve } from 'node:path';
import { Failure } from '@meridian/failure';
import { regionOf } from '@meridian/topology';
import { Command } from 'commander';
import { parseComponents } from './combination.ts';
import { readSources, requireGenerated, writeGenerated } from './generated-files.ts';
import { render } from './render.ts';
import { validate } from './validate.ts';

const repository = resolve(import.meta.dirname, '..', '..', '..');
const stateRoot = join(resolve(process.env.MERIDIAN_STATE ?? join(repository, '.state')), 'kubernetes');
const say = (line: string): void => void process.stdout.write(`${line}\n`);

interface Place {
  readonly region: string;
  readonly components: string;
  readonly tag: string;
  readonly registry: string;
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

function fail(error: unknown): never {
  const failure = Failure.from(error);
  const text =
    failure.code === 'INTERNAL' && failure.cause instanceof Error ? String(failure.cause.stack) : failure.message;
  process.stderr.write(`meridian: ${text}\n`);
  process.exit(1);
}

const program = new Command('meridian-kubernetes').description('manifests of a region, and what is done with them');
const command = (name: string, description: string) =>
  program
    .command(name)
    .description(description)
    .requiredOption('--region <name>', 'one of regions.yaml')
    .option('--components <names>', 'keda or hpa, service-monitor, cert-manager', '')
    .option('--tag <tag>', 'of the images; default: the version of package.json', '')
    .option('--registry <prefix>', 'put before the names of the images', '');
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
command('render', 'prints the manifests of a region').action((place: Place) => rendering(place).then(say, fail));
await program.parseAsync();
