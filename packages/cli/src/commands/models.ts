import { AddModelResponseSchema, ListModelsResponseSchema, type Model, StateService } from '@meridian/contracts/state';
import { parseManifest } from '@meridian/models';
import type { Command } from 'commander';
import { withRegion } from '../connection.ts';
import { formatBytes, shortDigest } from '../format/quantity.ts';
import { formatTable } from '../format/table.ts';
import { plain } from '../json.ts';
import { modelParts, readModel } from '../model-upload.ts';
import { print, printJson, startProgress } from '../terminal.ts';
import { type CommandContext, optionsOf } from './context.ts';

const CALL_TIMEOUT_MS = 10_000;

export function addModelsCommands(program: Command, context: CommandContext): void {
  const models = program.command('models').description('models of the catalogue');
  addList(models, context);
  addAdd(models, context);
}

function addList(models: Command, { terminal }: CommandContext): void {
  const list = models
    .command('list')
    .description('models that a region knows, and where each is ready')
    .option('-r, --region <name>', 'region to ask')
    .action(async () => {
      const options = optionsOf(list);
      const door = { service: StateService, door: 'sync', identity: 'client' } as const;
      await withRegion(options, door, async (client) => {
        const answer = await client.listModels({}, { timeoutMs: CALL_TIMEOUT_MS });
        if (options.json) printJson(terminal, plain(ListModelsResponseSchema, answer));
        else print(terminal, formatModels(answer.models));
      });
    });
}

function formatModels(models: readonly Model[]): string {
  if (models.length === 0) return 'no models; add one with: models add FILE --manifest FILE';
  const rows = models.map((model) => {
    const { task, size, description } = describe(model.manifest);
    return [model.name, shortDigest(model.modelDigest), task, size, model.readyRegions.join(' ') || '–', description];
  });
  return formatTable(['model', 'digest', 'task', 'size', 'ready in', 'description'], rows);
}

/** A manifest of a later version may have fields that this one does not know: the list is shown all the same. */
function describe(manifestJson: string): { task: string; size: string; description: string } {
  try {
    const manifest = parseManifest(JSON.parse(manifestJson));
    const bytes = Object.values(manifest.parts).reduce((sum, part) => sum + (part?.bytes ?? 0), 0);
    return { task: manifest.task, size: formatBytes(bytes), description: manifest.description };
  } catch {
    return { task: '–', size: '–', description: '–' };
  }
}

function addAdd(models: Command, { terminal, clock, signal }: CommandContext): void {
  const add = models
    .command('add')
    .description('add an ONNX model to the shared catalogue; every region gets it')
    .argument('<files...>', 'ONNX file of each part')
    .requiredOption('--manifest <file>', 'YAML or JSON manifest; digest and bytes may be left out')
    .option('-r, --region <name>', 'region that takes it in')
    .action(async (files: string[]) => {
      const options = optionsOf<{ manifest: string }>(add);
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
        if (options.json) printJson(terminal, plain(AddModelResponseSchema, added));
        else
          print(
            terminal,
            `${added.model} ${shortDigest(added.modelDigest)} is in the catalogue of ${region.name}; see \`models list\``,
          );
      });
    });
}
