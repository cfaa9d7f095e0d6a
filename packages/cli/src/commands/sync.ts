import {
  ChangeMemberResponseSchema,
  type GetSyncStatusResponse,
  GetSyncStatusResponseSchema,
  ListMembersResponseSchema,
  MemberAction,
} from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import type { Command } from 'commander';
import { formatMembers, formatSyncLine, formatSyncStatus } from '../format/sync-status.ts';
import { plain } from '../json.ts';
import { print, printJson, type Terminal } from '../terminal.ts';
import { type CommandContext, type GlobalOptions, optionsOf } from './context.ts';
import { CALL_TIMEOUT_MS, onSync, REGION_OPTION } from './state-call.ts';

const WATCH_INTERVAL_MS = 1_000;
/** A change of the membership waits for the other regions. */
const CHANGE_TIMEOUT_MS = 30_000;
const CLEAR = '\u001b[H\u001b[J';

export function addSyncCommands(program: Command, context: CommandContext): void {
  const sync = program.command('sync').description('replication of the shared state between the regions');
  addStatus(sync, context);
  addMembers(sync, context);
}

function addStatus(sync: Command, { terminal, signal }: CommandContext): void {
  const status = sync
    .command('status')
    .description('how far each region is, as one of them knows it')
    .option(...REGION_OPTION)
    .option('-w, --watch', 'again every second, until Ctrl-C')
    .action(async () => {
      const options = optionsOf<{ watch?: boolean }>(status);
      await onSync(options, 'client', async (client) => {
        if (options.watch !== true) {
          const answer = await client.getSyncStatus({}, { timeoutMs: CALL_TIMEOUT_MS });
          if (options.json) printJson(terminal, plain(GetSyncStatusResponseSchema, answer));
          else print(terminal, formatSyncStatus(answer));
          return;
        }
        for await (const update of client.watchSyncStatus({ intervalMs: WATCH_INTERVAL_MS }, { signal }))
          if (update.status !== undefined) showAgain(terminal, update.status, options);
        throw new Failure('UNAVAILABLE', 'the region ended the watch');
      });
    });
}

/** On a terminal in the place of the one before; elsewhere one line each. */
function showAgain(terminal: Terminal, status: GetSyncStatusResponse, { json }: GlobalOptions): void {
  if (json) printJson(terminal, plain(GetSyncStatusResponseSchema, status));
  else if ('isTTY' in terminal.out && terminal.out.isTTY === true)
    terminal.out.write(`${CLEAR}${formatSyncStatus(status)}\n`);
  else print(terminal, formatSyncLine(status));
}

function addMembers(sync: Command, { terminal }: CommandContext): void {
  const members = sync
    .command('members')
    .description('regions that share the state')
    .option(...REGION_OPTION)
    .action(async () => {
      const options = optionsOf(members);
      await onSync(options, 'client', async (client) => {
        const answer = await client.listMembers({}, { timeoutMs: CALL_TIMEOUT_MS });
        if (options.json) printJson(terminal, plain(ListMembersResponseSchema, answer));
        else print(terminal, formatMembers(answer.members));
      });
    });
  const add = members
    .command('add')
    .description('take a region in again that was removed')
    .argument('<region>')
    .option('-r, --region <name>', 'region that is told (default: the first that answers)')
    .action((region: string) => change(optionsOf(add), terminal, region, MemberAction.ADD));
  const remove = members
    .command('remove')
    .description('take a region out: nothing more is taken from it, and what only it has is lost')
    .argument('<region>')
    .option('-r, --region <name>', 'region that is told (default: the first that answers)')
    .option('--yes', 'really')
    .action((region: string) => {
      const options = optionsOf<{ yes?: boolean }>(remove);
      if (options.yes !== true)
        throw new Failure(
          'FAILED_PRECONDITION',
          `what only ${region} has would be lost; if that is meant, repeat the command with --yes`,
          { reason: 'NOT_CONFIRMED' },
        );
      return change(options, terminal, region, MemberAction.REMOVE);
    });
}

async function change(options: GlobalOptions, terminal: Terminal, region: string, action: MemberAction): Promise<void> {
  await onSync(options, 'operator', async (client) => {
    const answer = await client.changeMember({ region, action }, { timeoutMs: CHANGE_TIMEOUT_MS });
    const done = action === MemberAction.ADD ? 'a member again' : 'no member any more';
    if (options.json) printJson(terminal, { region, ...plain(ChangeMemberResponseSchema, answer) });
    else print(terminal, answer.changed ? `${region} is ${done}` : `${region} was ${done} already`);
  });
}
