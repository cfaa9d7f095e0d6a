import { readFile } from 'node:fs/promises';
import {
  DeleteResponseSchema,
  EntryViewSchema,
  GetResponseSchema,
  HistoryResponseSchema,
  PutResponseSchema,
  type VersionView,
} from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import type { Command } from 'commander';
import { watchKeys } from '../config-watch.ts';
import { fileFailure } from '../file-failure.ts';
import { conflictCount, formatChange, formatEntries, formatHistory, origin, winnerIn } from '../format/entry.ts';
import { formatNumber } from '../format/quantity.ts';
import { plain } from '../json.ts';
import { note, print, printJson } from '../terminal.ts';
import { type CommandContext, optionsOf, wholeNumber } from './context.ts';
import {
  type AfterOption,
  addAfterOption,
  CALL_TIMEOUT_MS,
  keyOf,
  onSync,
  REGION_OPTION,
  type StateClient,
  sessionFields,
} from './state-call.ts';

interface EditOptions extends AfterOption {
  readonly context?: string;
}

const CONTEXT_OPTION = [
  '--context <text>',
  'supersede only what this covers (context of `config get --json`); what came since stays beside it, as a conflict',
] as const;
const HISTORY_MAX = 32;

export function addConfigCommands(program: Command, context: CommandContext): void {
  const config = program.command('config').description('configuration that all regions share');
  addSet(config, context);
  addGet(config, context);
  addDelete(config, context);
  addList(config, context);
  addHistory(config, context);
  addWatch(config, context);
}

function addSet(config: Command, { terminal }: CommandContext): void {
  const set = addAfterOption(
    config
      .command('set')
      .description('write a key; every region sees it as soon as a link to it is up')
      .argument('<key>')
      .argument('[value]')
      .option(...REGION_OPTION)
      .option('-f, --file <path>', 'take the value from a file')
      .option(...CONTEXT_OPTION),
  ).action(async (name: string, text: string | undefined) => {
    const options = optionsOf<EditOptions & { file?: string }>(set);
    const value = await valueFrom(text, options.file);
    const key = keyOf(name);
    await onSync(options, 'operator', async (client, region) => {
      const request = { key, value, ...contextField(options), ...sessionFields(options) };
      const answer = await client.put(request, { timeoutMs: CALL_TIMEOUT_MS });
      if (options.json) printJson(terminal, { key, region: region.name, ...plain(PutResponseSchema, answer) });
      else print(terminal, answer.changed ? `${key} is set in ${region.name}` : `${key} has that value already`);
    });
  });
}

async function valueFrom(text: string | undefined, file: string | undefined): Promise<Uint8Array> {
  if ((text === undefined) === (file === undefined))
    throw new Failure('INVALID_ARGUMENT', 'give a value or --file, not both', { reason: 'VALUE_MISSING' });
  if (file === undefined) return Buffer.from(text ?? '');
  return readFile(file).catch((cause) => {
    throw fileFailure('read', file, cause);
  });
}

function addGet(config: Command, { terminal }: CommandContext): void {
  const get = addAfterOption(
    config
      .command('get')
      .description('print the value as it is; a conflict is noted beside it')
      .argument('<key>')
      .option(...REGION_OPTION),
  ).action(async (name: string) => {
    const options = optionsOf<AfterOption>(get);
    const key = keyOf(name);
    await onSync(options, 'client', async (client, region) => {
      const answer = await client.get({ key, ...sessionFields(options) }, { timeoutMs: CALL_TIMEOUT_MS });
      if (options.json) return printJson(terminal, { region: region.name, ...plain(GetResponseSchema, answer) });
      const { entry } = answer;
      if (entry?.conflicted === true)
        note(terminal, `${key} is ${conflictCount(entry)}; see: ./meridian conflicts show ${key}`);
      const winner = entry && winnerIn(entry);
      if (winner === undefined) throw notSet(key, region.name, await deletionOf(client, key));
      if (winner.deleted) throw notSet(key, region.name, winner);
      terminal.out.write(winner.value);
      // For people: their prompt on a line of its own, and the bytes as they are for everything else.
      if (terminal.interactive && winner.value.at(-1) !== NEWLINE) note(terminal, '');
    });
  });
}

const NEWLINE = 10;

/** Once every region has it a deletion is forgotten: then only the history tells of it. */
async function deletionOf(client: StateClient, key: string): Promise<VersionView | undefined> {
  const { items } = await client.history({ key, limit: 1 }, { timeoutMs: CALL_TIMEOUT_MS });
  return items[0]?.version?.deleted ? items[0].version : undefined;
}

function notSet(key: string, region: string, deletion: VersionView | undefined): Failure {
  const what = deletion === undefined ? `is not set in ${region}` : `was deleted by ${origin(deletion)}`;
  return new Failure('NOT_FOUND', `${key} ${what}`, { reason: 'KEY_UNKNOWN' });
}

function addDelete(config: Command, { terminal }: CommandContext): void {
  const remove = addAfterOption(
    config
      .command('delete')
      .description('delete a key; its history stays for a while')
      .argument('<key>')
      .option(...REGION_OPTION)
      .option(...CONTEXT_OPTION),
  ).action(async (name: string) => {
    const options = optionsOf<EditOptions>(remove);
    const key = keyOf(name);
    await onSync(options, 'operator', async (client, region) => {
      const request = { key, ...contextField(options), ...sessionFields(options) };
      const answer = await client.delete(request, { timeoutMs: CALL_TIMEOUT_MS });
      if (options.json) printJson(terminal, { key, region: region.name, ...plain(DeleteResponseSchema, answer) });
      else print(terminal, answer.changed ? `${key} is deleted in ${region.name}` : `${key} was not set`);
    });
  });
}

function addList(config: Command, { terminal }: CommandContext): void {
  const list = addAfterOption(
    config
      .command('list')
      .description('keys and what readers see of them')
      .argument('[prefix]', 'only keys that begin with it', '')
      .option(...REGION_OPTION),
  ).action(async (prefix: string) => {
    const options = optionsOf<AfterOption>(list);
    await onSync(options, 'client', async (client, region) => {
      let afterKey = '';
      let shown = 0;
      do {
        const request = { prefix: keyOf(prefix), afterKey, limit: 1_000, ...sessionFields(options) };
        const { entries, nextKey } = await client.list(request, { timeoutMs: CALL_TIMEOUT_MS });
        afterKey = nextKey;
        shown += entries.length;
        if (options.json) for (const entry of entries) printJson(terminal, plain(EntryViewSchema, entry));
        else if (entries.length > 0) print(terminal, formatEntries(entries));
      } while (afterKey !== '');
      if (!options.json && shown === 0) print(terminal, `${region.name} has no such keys`);
    });
  });
}

function addHistory(config: Command, { terminal }: CommandContext): void {
  const history = config
    .command('history')
    .description('versions of a key that the region has seen, newest first (the last 32 are kept)')
    .argument('<key>')
    .option(...REGION_OPTION)
    .option('-n, --limit <n>', 'so many of them', wholeNumber(1, HISTORY_MAX))
    .action(async (name: string) => {
      const options = optionsOf<{ limit?: number }>(history);
      const key = keyOf(name);
      await onSync(options, 'client', async (client) => {
        const answer = await client.history({ key, limit: options.limit ?? 0 }, { timeoutMs: CALL_TIMEOUT_MS });
        if (options.json) printJson(terminal, plain(HistoryResponseSchema, answer));
        else print(terminal, formatHistory(key, answer.items));
      });
    });
}

function addWatch(config: Command, context: CommandContext): void {
  const { terminal } = context;
  const watch = config
    .command('watch')
    .description('keys as they are, then each change, until Ctrl-C')
    .argument('[prefix]', 'only keys that begin with it', '')
    .option(...REGION_OPTION)
    .action(async (prefix: string) => {
      const options = optionsOf(watch);
      await onSync(options, 'client', async (client, region) => {
        const onRetry = (failure: Failure, delayMs: number) =>
          note(terminal, `${failure.message}; trying again in ${formatNumber(delayMs / 1_000)} s`);
        let isFirst = true;
        for await (const update of watchKeys({ ...context, client, prefix: keyOf(prefix), onRetry })) {
          for (const entry of update.entries)
            if (options.json) printJson(terminal, plain(EntryViewSchema, entry));
            else print(terminal, formatChange(entry));
          if (isFirst && update.caughtUp && !options.json)
            note(terminal, `that is what ${region.name} has; waiting for changes, Ctrl-C ends`);
          if (update.caughtUp) isFirst = false;
        }
      });
    });
}

function contextField({ context }: EditOptions) {
  return context === undefined ? {} : { context };
}
