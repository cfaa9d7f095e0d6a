import { join, resolve } from 'node:path';
import { Failure } from '@meridian/failure';
import { fail, systemClock } from '@meridian/runtime';
import { Command, InvalidArgumentError } from 'commander';
import { controlCommands } from './commands.ts';
import { ControlServer } from './control-server.ts';
import { Progress } from './progress.ts';
import { awaitModels, readyTable } from './ready.ts';
import { type Provisioned, provision } from './settings.ts';
import { printShowcase } from './showcase-report.ts';
import { LocalSystem } from './system.ts';

const repository = resolve(import.meta.dirname, '..', '..', '..');
const stateRoot = resolve(process.env.MERIDIAN_STATE ?? join(repository, '.state'));
const write = (line: string): void => void process.stdout.write(`${line}\n`);

interface Options {
  readonly workers: number;
  readonly samples: string;
}

/** What is missing is fetched and converted; nothing is started. */
function prepare(options: Pick<Options, 'samples'>, progress: Progress): Promise<Provisioned> {
  return provision(
    {
      repository,
      stateRoot,
      samplesDirectory: options.samples === '' ? '' : resolve(options.samples),
      natsServer: process.env.NATS_SERVER,
      path: process.env.PATH ?? '',
    },
    progress,
  );
}

async function startSystem(options: Options, provisioned: Provisioned, progress: Progress): Promise<LocalSystem> {
  const system = await LocalSystem.prepare({
    stateRoot,
    repository,
    topology: provisioned.topology,
    natsServer: provisioned.natsServer,
    workers: options.workers,
    onChange: ({ name, text }) => progress.say(`${name}: ${text}`),
    extraEnvironment:
      process.env.MERIDIAN_LOG_LEVEL === undefined ? {} : { MERIDIAN_LOG_LEVEL: process.env.MERIDIAN_LOG_LEVEL },
  });
  const isStopping = stopOnSignals(system, progress);
  try {
    await progress.step('regions: brokers and services', () => system.start());
    for (const region of system.regions.values())
      if (region.problem !== '') progress.say(`${region.name}: ${region.problem}`);
    await progress.step('models: loading in each region', () => awaitModels(system, systemClock));
    return system;
  } catch (error) {
    // After Ctrl-C whoever stops the system ends the process too.
    if (isStopping()) return new Promise(() => undefined);
    await progress.step('stopping', () => system.stop());
    throw error;
  }
}

async function demo(options: Options): Promise<void> {
  const progress = new Progress(write, systemClock);
  const provisioned = await prepare(options, progress);
  const system = await startSystem(options, provisioned, progress);
  try {
    write(await readyTable(system));
    if (provisioned.samples.length === 0) throw noSamples(provisioned);
    const failed = await printShowcase(system, provisioned.samples, write);
    if (failed > 0) throw new Failure('INTERNAL', `${failed} recognitions failed or lacked a label`);
  } finally {
    await progress.step('stopping', () => system.stop());
  }
}

async function run(options: Options): Promise<void> {
  const progress = new Progress(write, systemClock);
  const provisioned = await prepare(options, progress);
  const system = await startSystem(options, provisioned, progress);
  await new ControlServer(system.paths.controlSocket, controlCommands(system)).start();
  write(await readyTable(system));
  if (provisioned.samples.length > 0) await printShowcase(system, provisioned.samples, write);
  else write(noSamples(provisioned).message);
  write('\nServing until Ctrl-C. In another terminal: ./meridian recognize photo.jpg · ./meridian --help');
}

/** The first Ctrl-C stops everything in order; a second one ends at once and leaves the rest to the next start. */
function stopOnSignals(system: LocalSystem, progress: Progress): () => boolean {
  let stopping = false;
  const stop = (): void => {
    if (stopping) process.exit(130);
    stopping = true;
    progress
      .step('stopping', () => system.stop())
      .then(
        () => process.exit(0),
        (error: unknown) => fail(error),
      );
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  return () => stopping;
}

function noSamples(provisioned: Provisioned): Failure {
  return new Failure(
    'FAILED_PRECONDITION',
    `no sample photographs (${provisioned.samplesProblem}). Use your own: ./meridian recognize photo.jpg while \`make run\` serves, or SAMPLES=dir with a samples.yaml like infra/local/samples.yaml.`,
    { reason: 'SAMPLES_MISSING' },
  );
}

function workersOf(text: string): number {
  const workers = Number(text);
  if (Number.isInteger(workers) && workers >= 1 && workers <= 16) return workers;
  throw new InvalidArgumentError('expected 1 … 16 workers in each region');
}

const program = new Command('meridian-local').description('three regions on this machine');
for (const [name, description, action] of [
  ['run', 'start, recognise the samples, serve until Ctrl-C', run],
  ['demo', 'start, recognise the samples, stop', demo],
] as const)
  program
    .command(name)
    .description(description)
    .option('--workers <n>', 'inference workers in each region', workersOf, 1)
    .option('--samples <dir>', 'folder with photographs and a samples.yaml', '')
    .action((options: Options) => action(options).catch(fail));
program
  .command('prepare')
  .description('fetch and convert what running and testing needs')
  .action(() => prepare({ samples: '' }, new Progress(write, systemClock)).then(() => undefined, fail));
await program.parseAsync();
