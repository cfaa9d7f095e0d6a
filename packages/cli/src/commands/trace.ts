import { GetTraceResponseSchema, RegionService } from '@meridian/contracts/region';
import { Failure } from '@meridian/failure';
import type { Command } from 'commander';
import { withRegion } from '../connection.ts';
import { formatWaterfall } from '../format/waterfall.ts';
import { plain } from '../json.ts';
import { note, print, printJson } from '../terminal.ts';
import { type CommandContext, optionsOf } from './context.ts';

/** The region asked waits for the others; a cut-off one costs it its own time-out. */
const TRACE_TIMEOUT_MS = 15_000;
const TRACE_ID = /^[0-9a-f]{32}$/;

export function addTraceCommand(program: Command, { terminal }: CommandContext): void {
  const command = program
    .command('trace')
    .description('where the time of a task went: its spans from every region that can be reached')
    .argument('<task>', 'task id of a recent task, or a trace id')
    .option('-r, --region <name>', 'region to ask')
    .action(async (id: string) => {
      const options = optionsOf(command);
      const key = TRACE_ID.test(id) ? { case: 'traceId' as const, value: id } : { case: 'taskId' as const, value: id };
      const door = { service: RegionService, door: 'scheduler', identity: 'client' } as const;
      await withRegion(options, door, async (client) => {
        const answer = await client.getTrace({ key }, { timeoutMs: TRACE_TIMEOUT_MS });
        const unreachable = answer.unreachableRegions.join(', ');
        if (options.json) return printJson(terminal, plain(GetTraceResponseSchema, answer));
        if (unreachable !== '') note(terminal, `not reachable, their spans are missing: ${unreachable}`);
        if (answer.spans.length === 0)
          throw new Failure('NOT_FOUND', `no spans of ${id}: regions keep those of the last few thousand tasks only`);
        print(terminal, formatWaterfall(answer.spans));
      });
    });
}
