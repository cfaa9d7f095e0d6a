import {
  type AddModelResponse,
  AddModelResponseSchema,
  ListModelsResponseSchema,
  type Model,
  StateService,
} from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { blobsOf, parseManifest } from '@meridian/models';
import type { RpcClient } from '@meridian/rpc';
import type { Command } from 'commander';
import { withRegion } from '../connection.ts';
import { formatBytes, shortDigest } from '../format/quantity.ts';
import { formatTable } from '../format/table.ts';
import { plain } from '../json.ts';
import { modelParts, readModel } from '../model-upload.ts';
import { note, print, printJson, startProgress } from '../terminal.ts';
import { type CommandContext, optionsOf } from './context.ts';
import { addRollCommands } from './rolls.ts';

const CALL_TIMEOUT_MS = 10_000;
/** A model of some hundred megabytes is loaded in a few seconds; a worker that failed before tries again within a minute. */
const READY_TIMEOUT_MS = 90_000;
const READY_POLL_MS = 300;

export function addModelsCommands(program: Command, context: CommandContext): void {
  const models = program.command('models').description('models of the catalogue, their aliases and rolls');
  addList(models, context);
  addAdd(models, context);
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
    .description('add an ONNX model: every region knows it, the one that takes it in runs it')
    .argument('<files...>', 'ONNX file of each part')
    .requiredOption('--manifest <file>', 'YAML or JSON manifest; digest and bytes may be left out')
    .option('-r, --region <name>', 'region that takes it in')
    .option('--detach', 'do not wait until it can be run')
    .action(async (files: string[]) => {
      const options = optionsOf<{ manifest: string; detach?: boolean }>(add);
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
        const isReadyIn = (regions: readonly string[]) =>
          options.address === undefined ? regions.includes(region.name) : regions.length > 0;
        if (!options.detach) {
          note(terminal, `${added.model} is in the catalogue; waiting until ${region.name} has loaded it`);
          await awaitReady(client, added, region.name, isReadyIn, context);
        }
        const state = options.detach
          ? 'is in the catalogue; see `./meridian models list`'
          : `can be run in ${region.name}`;
        if (options.json) printJson(terminal, plain(AddModelResponseSchema, added));
        else print(terminal, `${added.model} ${shortDigest(added.modelDigest)} ${state}`);
      });
    });
}

/** @throws Failure MODEL_NOT_READY with what the region's workers say, or when they say nothing for too long. */
async function awaitReady(
  client: RpcClient<typeof StateService>,
  { model, modelDigest }: AddModelResponse,
  region: string,
  isReadyIn: (regions: readonly string[]) => boolean,
  { clock, signal }: CommandContext,
): Promise<void> {
  const untilMs = clock.monotonicMs() + READY_TIMEOUT_MS;
  const refuse = (why: string) =>
    new Failure('FAILED_PRECONDITION', `${model} is in the catalogue, but ${why}`, { reason: 'MODEL_NOT_READY' });
  for (;;) {
    const { models } = await client.listModels({}, { timeoutMs: CALL_TIMEOUT_MS, signal });
    const found = models.find((one) => one.modelDigest === modelDigest);
    if (found === undefined) throw refuse('another version of that name has replaced it');
    if (isReadyIn(found.readyRegions)) return;
    if (found.problem !== '') throw refuse(`${region} cannot run it: ${found.problem}`);
    if (clock.monotonicMs() >= untilMs)
      throw refuse(`not ready in ${region} after ${READY_TIMEOUT_MS / 1_000} s: has the region a worker?`);
    await clock.sleep(READY_POLL_MS, signal);
  }
}
