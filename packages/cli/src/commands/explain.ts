import { ExplainTaskResponseSchema, RegionService } from '@meridian/contracts/region';
import type { Command } from 'commander';
import { withRegion } from '../connection.ts';
import { formatExplanation } from '../format/explanation.ts';
import { plain } from '../json.ts';
import { print, printJson } from '../terminal.ts';
import { type CommandContext, optionsOf } from './context.ts';
import { CALL_TIMEOUT_MS, whereJobIs } from './job-region.ts';

export function addExplainCommand(program: Command, { terminal }: CommandContext): void {
  const command = program
    .command('explain')
    .description('why a task was placed where it was: every region with each term of its cost, for each attempt')
    .argument('<task>', 'task id of a recent task')
    .option('-r, --region <name>', 'region that accepted it; default: as the id says')
    .action(async (taskId: string) => {
      // The id of a task begins with the region that accepted it, as a job's does.
      const options = await whereJobIs(taskId, optionsOf(command));
      const door = { service: RegionService, door: 'scheduler', identity: 'client' } as const;
      await withRegion(options, door, async (client) => {
        const answer = await client.explainTask({ taskId }, { timeoutMs: CALL_TIMEOUT_MS });
        if (options.json) printJson(terminal, plain(ExplainTaskResponseSchema, answer));
        else print(terminal, formatExplanation(answer));
      });
    });
}
