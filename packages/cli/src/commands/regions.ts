import { createInterface } from 'node:readline/promises';
import { ListRegionsResponseSchema, RegionService } from '@meridian/contracts/region';
import { StateService } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import type { Command } from 'commander';
import { withRegion } from '../connection.ts';
import { askLocalRun } from '../control.ts';
import { formatRegions } from '../format/regions.ts';
import { plain } from '../json.ts';
import { print, printJson } from '../terminal.ts';
import { type CommandContext, type GlobalOptions, optionsOf } from './context.ts';

const CALL_TIMEOUT_MS = 10_000;
const NAMES_TIMEOUT_MS = 2_000;

export function addRegionsCommand(program: Command, context: CommandContext): void {
  const { terminal } = context;
  const regions = program
    .command('regions')
    .description('each region as one of them sees it: health, round trip, load, workers, models')
    .option('-r, --region <name>', 'region to ask')
    .action(async () => {
      const options = optionsOf(regions);
      const door = { service: RegionService, door: 'scheduler', identity: 'client' } as const;
      await withRegion(options, door, async (client, { name }) => {
        const answer = await client.listRegions({}, { timeoutMs: CALL_TIMEOUT_MS });
        if (options.json) return printJson(terminal, plain(ListRegionsResponseSchema, answer));
        print(terminal, formatRegions(answer.region, answer.regions, await modelNames({ ...options, region: name })));
      });
    });
  addReinit(regions, context);
}

/** Names for people only: without the sync service the digests are shown. */
async function modelNames(options: GlobalOptions): Promise<ReadonlyMap<string, string>> {
  if (options.address !== undefined) return new Map();
  const door = { service: StateService, door: 'sync', identity: 'client' } as const;
  try {
    const { models } = await withRegion(options, door, (client) =>
      client.listModels({}, { timeoutMs: NAMES_TIMEOUT_MS }),
    );
    return new Map(models.map((model) => [model.modelDigest, model.name]));
  } catch {
    return new Map();
  }
}

function addReinit(regions: Command, { terminal, signal }: CommandContext): void {
  const reinit = regions
    .command('reinit')
    .description('make a region of the local run anew: what its broker stored, unfinished jobs too, is lost')
    .argument('<region>')
    .option('--yes', 'do not ask')
    .action(async (region: string) => {
      const options = optionsOf<{ yes?: boolean }>(reinit);
      if (terminal.interactive && !options.yes) {
        const asking = createInterface({ input: terminal.input, output: terminal.err });
        const answer = await asking.question(
          `Everything that ${region}'s broker stores is lost. Type the region's name to go on: `,
          { signal },
        );
        asking.close();
        if (answer.trim() !== region) throw new Failure('CANCELLED', 'nothing was changed');
      }
      const result = await askLocalRun(options, 'reinit', { region });
      if (options.json) printJson(terminal, { ok: true, result });
      else print(terminal, `${region} was made anew and is up`);
    });
}
