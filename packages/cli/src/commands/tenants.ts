import { DeleteResponseSchema, type EntryView, PutResponseSchema } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { encodeTenant, type ResidencyRule } from '@meridian/residency';
import type { Command } from 'commander';
import { formatTenants, tenantJson } from '../format/tenant.ts';
import { plain } from '../json.ts';
import { note, print, printJson } from '../terminal.ts';
import { type CommandContext, optionsOf } from './context.ts';
import { ruleOf } from './request-options.ts';
import {
  type AfterOption,
  addAfterOption,
  CALL_TIMEOUT_MS,
  onSync,
  REGION_OPTION,
  type StateClient,
  sessionFields,
} from './state-call.ts';

const PREFIX = 'tenant/';
const PAGE = 1_000;

export function addTenantsCommands(program: Command, context: CommandContext): void {
  const tenants = program.command('tenants').description('who may use the system, and where his pictures may be');
  addSet(tenants, context);
  addGet(tenants, context);
  addDelete(tenants, context);
  addList(tenants, context);
}

function addSet(tenants: Command, { terminal }: CommandContext): void {
  const set = addAfterOption(
    tenants
      .command('set')
      .description('add a tenant, or change what is agreed with it; without --residency it has no rule')
      .argument('<tenant>')
      .option('--residency <rule>', '"only=zone:cn-north,region:wuhan;never=region:guangzhou;prefer=…"', ruleOf)
      .option(...REGION_OPTION),
  ).action(async (name: string) => {
    const options = optionsOf<AfterOption & { residency?: ResidencyRule }>(set);
    const value = encodeTenant({ name, residency: options.residency ?? {} });
    await onSync(options, 'operator', async (client, region) => {
      const request = { key: `${PREFIX}${name}`, value, ...sessionFields(options) };
      const answer = await client.put(request, { timeoutMs: CALL_TIMEOUT_MS });
      if (options.json) printJson(terminal, { tenant: name, region: region.name, ...plain(PutResponseSchema, answer) });
      else print(terminal, answer.changed ? `tenant ${name} is set in ${region.name}` : `tenant ${name} is so already`);
    });
  });
}

function addGet(tenants: Command, { terminal }: CommandContext): void {
  const get = addAfterOption(
    tenants
      .command('get')
      .description('what is agreed with a tenant')
      .argument('<tenant>')
      .option(...REGION_OPTION),
  ).action(async (name: string) => {
    const options = optionsOf<AfterOption>(get);
    await onSync(options, 'client', async (client, region) => {
      const request = { key: `${PREFIX}${name}`, ...sessionFields(options) };
      const { entry } = await client.get(request, { timeoutMs: CALL_TIMEOUT_MS });
      if (entry === undefined || !isThere(entry))
        throw new Failure('NOT_FOUND', `${region.name} has no tenant ${name}${whatThen(name)}`, {
          reason: 'TENANT_UNKNOWN',
        });
      if (options.json) printJson(terminal, tenantJson(entry));
      else print(terminal, formatTenants([entry]));
      if (entry.conflicted && !options.json)
        note(terminal, `in conflict, all hold: ./meridian conflicts show ${entry.key}`);
    });
  });
}

function addDelete(tenants: Command, { terminal }: CommandContext): void {
  const remove = addAfterOption(
    tenants
      .command('delete')
      .description('what comes for the tenant is refused from then on, its open jobs wait; public has no rule then')
      .argument('<tenant>')
      .option(...REGION_OPTION),
  ).action(async (name: string) => {
    const options = optionsOf<AfterOption>(remove);
    await onSync(options, 'operator', async (client, region) => {
      const request = { key: `${PREFIX}${name}`, ...sessionFields(options) };
      const answer = await client.delete(request, { timeoutMs: CALL_TIMEOUT_MS });
      if (options.json) printJson(terminal, { tenant: name, ...plain(DeleteResponseSchema, answer) });
      else
        print(terminal, answer.changed ? `tenant ${name} is deleted in ${region.name}` : `there was no tenant ${name}`);
    });
  });
}

function addList(tenants: Command, { terminal }: CommandContext): void {
  const list = addAfterOption(
    tenants
      .command('list')
      .description('tenants and their residency rules')
      .option(...REGION_OPTION),
  ).action(async () => {
    const options = optionsOf<AfterOption>(list);
    await onSync(options, 'client', async (client) => {
      const entries = await allOf(client, options);
      if (options.json) for (const entry of entries) printJson(terminal, tenantJson(entry));
      else print(terminal, formatTenants(entries));
    });
  });
}

async function allOf(client: StateClient, options: AfterOption): Promise<readonly EntryView[]> {
  const found: EntryView[] = [];
  let afterKey = '';
  do {
    const request = { prefix: PREFIX, afterKey, limit: PAGE, ...sessionFields(options) };
    const { entries, nextKey } = await client.list(request, { timeoutMs: CALL_TIMEOUT_MS });
    found.push(...entries);
    afterKey = nextKey;
  } while (afterKey !== '');
  return found;
}

function isThere({ versions }: EntryView): boolean {
  return versions.some(({ deleted }) => !deleted);
}

function whatThen(name: string): string {
  return name === 'public' ? ': it has no rule' : `: ./meridian tenants set ${name} adds it`;
}
