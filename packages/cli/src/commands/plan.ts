import {
  GetPlanResponseSchema,
  type Plan,
  PlanService,
  type WatchPlanResponse,
  WatchPlanResponseSchema,
} from '@meridian/contracts/plan';
import { Failure } from '@meridian/failure';
import type { Command } from 'commander';
import { withRegion } from '../connection.ts';
import { formatPlan, formatPlanLine } from '../format/plan.ts';
import { plain } from '../json.ts';
import { print, printJson, type Terminal } from '../terminal.ts';
import { type CommandContext, type GlobalOptions, optionsOf } from './context.ts';

const CALL_TIMEOUT_MS = 10_000;
const CLEAR = '\u001b[H\u001b[J';

export function addPlanCommand(program: Command, { terminal, signal }: CommandContext): void {
  const command = program
    .command('plan')
    .description('who would run whose tasks, by what the regions measure: demand, capacity, links, split, prices')
    .option('-r, --region <name>', 'region whose plan to show (default: the first that answers)')
    .option('-w, --watch', 'each new plan, until Ctrl-C')
    .action(async () => {
      const options = optionsOf<{ watch?: boolean }>(command);
      const door = { service: PlanService, door: 'optimizer', identity: 'client' } as const;
      await withRegion(options, door, async (client) => {
        if (options.watch !== true) {
          const answer = await client.getPlan({}, { timeoutMs: CALL_TIMEOUT_MS });
          if (options.json) printJson(terminal, plain(GetPlanResponseSchema, answer));
          else print(terminal, formatPlan(planOf(answer), Number(answer.nowUnixMs)));
          return;
        }
        for await (const update of client.watchPlan({}, { signal })) showAgain(terminal, update, options);
        throw new Failure('UNAVAILABLE', 'the region ended the watch');
      });
    });
}

/** On a terminal in the place of the one before; elsewhere one line each. */
function showAgain(terminal: Terminal, update: WatchPlanResponse, { json }: GlobalOptions): void {
  if (json) printJson(terminal, plain(WatchPlanResponseSchema, update));
  else if ('isTTY' in terminal.out && terminal.out.isTTY === true)
    terminal.out.write(`${CLEAR}${formatPlan(planOf(update), Number(update.nowUnixMs))}\n`);
  else print(terminal, formatPlanLine(planOf(update)));
}

function planOf({ plan }: { readonly plan?: Plan | undefined }): Plan {
  if (plan !== undefined) return plan;
  throw new Failure('INTERNAL', 'the region answered without a plan', { reason: 'PLAN_MISSING' });
}
