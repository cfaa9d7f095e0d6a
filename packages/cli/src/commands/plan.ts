import {
  GetPlanResponseSchema,
  type Plan,
  PlanService,
  PolicyDecisionSchema,
  type WatchPlanResponse,
  WatchPlanResponseSchema,
} from '@meridian/contracts/plan';
import { Failure } from '@meridian/failure';
import type { Command } from 'commander';
import { withRegion } from '../connection.ts';
import { formatPlan, formatPlanLine } from '../format/plan.ts';
import { type SyncDecisions, syncDecisions } from '../format/sync-decisions.ts';
import { plain } from '../json.ts';
import { print, printJson, type Terminal } from '../terminal.ts';
import { type CommandContext, type GlobalOptions, optionsOf } from './context.ts';
import { onSync, type StateClient } from './state-call.ts';

const CALL_TIMEOUT_MS = 10_000;
/** A plan does not wait long for what stands beside it. */
const SYNC_TIMEOUT_MS = 2_000;
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
      await withRegion(options, door, async (client, { name }) => {
        const sync = () => askSync(options, name);
        if (options.watch !== true) {
          const answer = await client.getPlan({}, { timeoutMs: CALL_TIMEOUT_MS });
          if (options.json) printJson(terminal, withSync(plain(GetPlanResponseSchema, answer), await sync()));
          else print(terminal, formatPlan(planOf(answer), Number(answer.nowUnixMs), await sync()));
          return;
        }
        for await (const update of client.watchPlan({}, { signal })) await showAgain(terminal, update, options, sync);
        throw new Failure('UNAVAILABLE', 'the region ended the watch');
      });
    });
}

/** On a terminal in the place of the one before; elsewhere one line each. */
async function showAgain(
  terminal: Terminal,
  update: WatchPlanResponse,
  { json }: GlobalOptions,
  sync: () => Promise<SyncDecisions>,
): Promise<void> {
  if (json) printJson(terminal, withSync(plain(WatchPlanResponseSchema, update), await sync()));
  else if ('isTTY' in terminal.out && terminal.out.isTTY === true)
    terminal.out.write(`${CLEAR}${formatPlan(planOf(update), Number(update.nowUnixMs), await sync())}\n`);
  else print(terminal, formatPlanLine(planOf(update)));
}

/** The sync service decides by itself how often it asks whom. A plan is shown with it or without. */
async function askSync(options: GlobalOptions, region: string): Promise<SyncDecisions> {
  const ask = (client: StateClient) => client.getSyncStatus({}, { timeoutMs: SYNC_TIMEOUT_MS });
  try {
    return { decisions: syncDecisions(await onSync({ ...options, region }, 'client', ask)), problem: '' };
  } catch (error) {
    return { decisions: [], problem: Failure.from(error).message };
  }
}

/** Beside the plan, whose digest is of what the optimizer has decided. */
function withSync(answer: object, { decisions, problem }: SyncDecisions): object {
  if (problem !== '') return { ...answer, syncProblem: problem };
  return { ...answer, syncDecisions: decisions.map((decision) => plain(PolicyDecisionSchema, decision)) };
}

function planOf({ plan }: { readonly plan?: Plan | undefined }): Plan {
  if (plan !== undefined) return plan;
  throw new Failure('INTERNAL', 'the region answered without a plan', { reason: 'PLAN_MISSING' });
}
