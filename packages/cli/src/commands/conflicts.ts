import {
  type EntryView,
  EntryViewSchema,
  GetResponseSchema,
  ResolveConflictResponseSchema,
} from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { type Command, Option } from 'commander';
import { formatConflict, formatConflicts, shortValue } from '../format/entry.ts';
import { plain } from '../json.ts';
import { print, printJson } from '../terminal.ts';
import { type CommandContext, optionsOf, wholeNumber } from './context.ts';
import {
  type AfterOption,
  addAfterOption,
  CALL_TIMEOUT_MS,
  onSync,
  REGION_OPTION,
  sessionFields,
} from './state-call.ts';

interface ResolveOptions extends AfterOption {
  readonly take?: number;
  readonly value?: string;
  readonly delete?: boolean;
}

const VERSIONS_MAX = 64;

export function addConflictsCommands(program: Command, context: CommandContext): void {
  const conflicts = program
    .command('conflicts')
    .description('keys that several regions wrote without knowing of each other; nothing is lost until resolved');
  addList(conflicts, context);
  addShow(conflicts, context);
  addResolve(conflicts, context);
}

function addList(conflicts: Command, { terminal }: CommandContext): void {
  const list = addAfterOption(
    conflicts
      .command('list')
      .description('keys in conflict')
      .argument('[prefix]', 'only keys that begin with it', '')
      .option(...REGION_OPTION),
  ).action(async (prefix: string) => {
    const options = optionsOf<AfterOption>(list);
    await onSync(options, 'client', async (client) => {
      const found: EntryView[] = [];
      let afterKey = '';
      do {
        const request = { prefix, afterKey, limit: 1_000, ...sessionFields(options) };
        const { entries, nextKey } = await client.listConflicts(request, { timeoutMs: CALL_TIMEOUT_MS });
        found.push(...entries);
        afterKey = nextKey;
      } while (afterKey !== '');
      if (options.json) for (const entry of found) printJson(terminal, plain(EntryViewSchema, entry));
      else print(terminal, formatConflicts(found));
    });
  });
}

function addShow(conflicts: Command, { terminal }: CommandContext): void {
  const show = addAfterOption(
    conflicts
      .command('show')
      .description('every version of a key: its value, who wrote it, where and when')
      .argument('<key>', 'as `conflicts list` prints it')
      .option(...REGION_OPTION),
  ).action(async (key: string) => {
    const options = optionsOf<AfterOption>(show);
    await onSync(options, 'client', async (client, region) => {
      const answer = await client.get({ key, ...sessionFields(options) }, { timeoutMs: CALL_TIMEOUT_MS });
      if (options.json) printJson(terminal, plain(GetResponseSchema, answer));
      else print(terminal, formatConflict(known(key, region.name, answer.entry)));
    });
  });
}

function addResolve(conflicts: Command, { terminal }: CommandContext): void {
  const resolve = addAfterOption(
    conflicts
      .command('resolve')
      .description('end a conflict in all regions; refused when a version came meanwhile that was not shown')
      .argument('<key>', 'as `conflicts list` prints it')
      .option(...REGION_OPTION)
      .addOption(
        new Option('--take <n>', 'by this version of `conflicts show`').argParser(wholeNumber(1, VERSIONS_MAX)),
      )
      .addOption(new Option('--value <text>', 'by another value; config/ only').conflicts('take'))
      .addOption(new Option('--delete', 'by deleting the key; config/ only').conflicts(['take', 'value'])),
  ).action(async (key: string) => {
    const options = optionsOf<ResolveOptions>(resolve);
    requireChoice(options);
    await onSync(options, 'operator', async (client, region) => {
      const { entry } = await client.get({ key, ...sessionFields(options) }, { timeoutMs: CALL_TIMEOUT_MS });
      const { context, versions } = known(key, region.name, entry);
      const { choice, shown } = choiceOf(key, versions, options);
      const answer = await client.resolveConflict({ key, context, choice }, { timeoutMs: CALL_TIMEOUT_MS });
      if (options.json) printJson(terminal, { key, ...plain(ResolveConflictResponseSchema, answer) });
      else print(terminal, `${key} is resolved: ${shown}`);
    });
  });
}

function requireChoice({ take, value, delete: isDelete }: ResolveOptions): void {
  if (take === undefined && value === undefined && isDelete !== true)
    throw new Failure('INVALID_ARGUMENT', 'say how: --take N, --value TEXT or --delete', { reason: 'CHOICE_INVALID' });
}

function choiceOf(key: string, versions: EntryView['versions'], { take, value }: ResolveOptions) {
  if (value !== undefined) return { choice: { case: 'value', value: Buffer.from(value) }, shown: value } as const;
  if (take === undefined) return { choice: { case: 'delete', value: true }, shown: '(deleted)' } as const;
  const version = versions[take - 1];
  if (version === undefined)
    throw new Failure('NOT_FOUND', `${key} has no version ${take}; see: ./meridian conflicts show ${key}`, {
      reason: 'VERSION_UNKNOWN',
    });
  return { choice: { case: 'dot', value: version.dot }, shown: shortValue(version) } as const;
}

function known(key: string, region: string, entry: EntryView | undefined): EntryView {
  if (entry !== undefined && entry.versions.length > 0) return entry;
  throw new Failure('NOT_FOUND', `${region} has no key ${key}`, { reason: 'KEY_UNKNOWN' });
}
