import {
  AddModelResponseSchema,
  ListModelsResponseSchema,
  type Model,
  RemoveModelResponseSchema,
  StateService,
} from '@meridian/contracts/state';
import { blobsOf, parseManifest } from '@meridian/models';
import { type Command, Option } from 'commander';
import { withRegion } from '../connection.ts';
import { formatBytes, shortDigest } from '../format/quantity.ts';
import { formatTable } from '../format/table.ts';
import { plain } from '../json.ts';
import { awaitReady, type Readiness } from '../model-readiness.ts';
import { modelParts, readModel } from '../model-upload.ts';
import { note, print, printJson, startProgress } from '../terminal.ts';
import { type CommandContext, optionsOf } from './context.ts';
import { addRollCommands } from './rolls.ts';

const CALL_TIMEOUT_MS = 10_000;

export function addModelsCommands(program: Command, context: CommandContext): void {
  const models = program.command('models').description('models of the catalogue, their aliases and rolls');
  addList(models, context);
  addAdd(models, context);
  addRemove(models, context);
  addRollCommands(models, context);
}

function addList(models: Command, { terminal }: CommandContext): void {
  const list = models
    .command('list')
    .description('models that a region knows, and where each is ready')
    .option('-r, --region <name>', 'region to ask')
    .action(async () => {
      const options = optionsOf(list);
      const door = { service: StateService, door: 'sync', identity: 'client' } as const;
      await withRegion(options, door, async (client, { name }) => {
        const answer = await client.listModels({}, { timeoutMs: CALL_TIMEOUT_MS });
        if (options.json) printJson(terminal, plain(ListModelsResponseSchema, answer));
        else print(terminal, formatModels(answer.models, name));
      });
    });
}

function formatModels(models: readonly Model[], region: string): string {
  if (models.length === 0) return 'no models; add one with: models add FILE --manifest FILE';
  const rows = models.map((model) => {
    const { task, size, description } = describe(model.manifest);
    return [model.name, shortDigest(model.modelDigest), task, size, model.readyRegions.join(' ') || '–', description];
  });
  const problems = models.filter(({ problem }) => problem !== '');
  return [
    formatTable(['model', 'digest', 'task', 'size', 'ready in', 'description'], rows),
    ...problems.map(({ name, problem }) => `${region} cannot run ${name}: ${problem}`),
  ].join('\n');
}

/** A manifest of a later version may have fields that this one does not know: the list is shown all the same. */
function describe(manifestJson: string): { task: string; size: string; description: string } {
  try {
    const manifest = parseManifest(JSON.parse(manifestJson));
    const bytes = blobsOf(manifest).reduce((sum, blob) => sum + blob.bytes, 0);
    return { task: manifest.task, size: formatBytes(bytes), description: manifest.description };
  } catch {
    return { task: '–', size: '–', description: '–' };
  }
}

function addAdd(models: Command, context: CommandContext): void {
  const { terminal, clock, signal } = context;
  const add = models
    .command('add')
    .description('add an ONNX model: one region takes it in, every region gets it and runs it')
    .argument('<files...>', 'ONNX file of each part')
    .requiredOption('--manifest <file>', 'YAML or JSON manifest; digest and bytes may be left out')
    .option('-r, --region <name>', 'region that takes it in')
    .option('--detach', 'do not wait until it can be run')
    .addOption(new Option('--everywhere', 'wait until every region can run it').conflicts('detach'))
    .action(async (files: string[]) => {
      const options = optionsOf<{ manifest: string; detach?: boolean; everywhere?: boolean }>(add);
      const upload = await readModel(options.manifest, files);
      const door = { service: StateService, door: 'sync', identity: 'operator' } as const;
      await withRegion(options, door, async (client, region) => {
        const progress = startProgress(terminal, clock, 'uploading', upload.totalBytes, formatBytes);
        let sentBytes = 0;
        const onChunk = (bytes: number) => {
          sentBytes += bytes;
          progress.update(sentBytes);
        };
        const added = await client.addModel(modelParts(upload, onChunk), { signal }).finally(() => progress.end());
        let state = 'is in the catalogue; see `./meridian models list`';
        if (!options.detach) {
          const everywhere = options.everywhere === true;
          const where = everywhere ? 'every region has' : `${region.name} has`;
          note(terminal, `${added.model} is in the catalogue; waiting until ${where} loaded it`);
          const own = options.address === undefined ? region.name : undefined;
          state = describeReadiness(await awaitReady(added, { client, region: own, everywhere, clock, signal }));
        }
        if (options.json) printJson(terminal, plain(AddModelResponseSchema, added));
        else print(terminal, `${added.model} ${shortDigest(added.modelDigest)} ${state}`);
      });
    });
}

function describeReadiness({ ready, missing }: Readiness): string {
  const here = `can be run in ${[...ready].sort().join(', ')}`;
  return missing.length === 0 ? here : `${here}; not yet in ${missing.join(', ')}, see \`./meridian models list\``;
}

function addRemove(models: Command, { terminal, signal }: CommandContext): void {
  const remove = models
    .command('remove')
    .description('take a model out of the catalogue of all regions; tasks that have it still end')
    .argument('<name>', 'name of the model')
    .option('-r, --region <name>', 'region to tell')
    .option('--force', 'also when it is the default model, or an alias means it')
    .action(async (name: string) => {
      const options = optionsOf<{ force?: boolean }>(remove);
      const door = { service: StateService, door: 'sync', identity: 'operator' } as const;
      await withRegion(options, door, async (client) => {
        const request = { name, force: options.force === true };
        const removed = await client.removeModel(request, { timeoutMs: CALL_TIMEOUT_MS, signal });
        if (options.json) printJson(terminal, plain(RemoveModelResponseSchema, removed));
        else print(terminal, `${name} is not in the catalogue any more`);
      });
    });
}
