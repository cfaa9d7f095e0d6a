import { type AliasView, AliasViewSchema, ListAliasesResponseSchema, RollService } from '@meridian/contracts/roll';
import { Failure } from '@meridian/failure';
import type { RpcClient } from '@meridian/rpc';
import { durationMs } from '@meridian/runtime';
import { type Command, InvalidArgumentError } from 'commander';
import { withRegion } from '../connection.ts';
import { formatAliases, formatRoll, isOver } from '../format/roll.ts';
import { plain } from '../json.ts';
import { print, printJson } from '../terminal.ts';
import { type CommandContext, type GlobalOptions, optionsOf, wholeNumber } from './context.ts';

const CALL_TIMEOUT_MS = 15_000;
const WATCH_POLL_MS = 500;
const GATE_TASKS_MAX = 500;
const LEASE_MS = durationMs();

interface RollOptions {
  readonly to?: string;
  readonly status?: boolean;
  readonly watch?: boolean;
  readonly back?: boolean;
  readonly waves?: readonly (readonly string[])[];
  readonly lease?: number;
  readonly gateTasks?: number;
  readonly errorFactor?: number;
  readonly p95Factor?: number;
  readonly skipTrafficGate?: boolean;
}

export function addRollCommands(models: Command, context: CommandContext): void {
  addAlias(models, context);
  addAliases(models, context);
  addRoll(models, context);
}

function addAlias(models: Command, { terminal }: CommandContext): void {
  const alias = models
    .command('alias')
    .description('make an alias of a model: use it wherever a model is named')
    .argument('<alias>')
    .argument('<model>')
    .option('-r, --region <name>', 'region to tell; it tells the others')
    .action(async (name: string, model: string) => {
      const options = optionsOf(alias);
      const { alias: view } = await call(options, 'operator', (client) =>
        client.createAlias({ alias: name, model }, { timeoutMs: CALL_TIMEOUT_MS }),
      );
      if (options.json) printJson(terminal, plain(AliasViewSchema, shown(view)));
      else print(terminal, formatAliases([shown(view)]));
    });
}

function addAliases(models: Command, { terminal }: CommandContext): void {
  const aliases = models
    .command('aliases')
    .description('aliases and what they mean')
    .option('-r, --region <name>', 'region to ask')
    .action(async () => {
      const options = optionsOf(aliases);
      const answer = await call(options, 'client', (client) => client.listAliases({}, { timeoutMs: CALL_TIMEOUT_MS }));
      if (options.json) printJson(terminal, plain(ListAliasesResponseSchema, answer));
      else print(terminal, formatAliases(answer.aliases));
    });
}

function addRoll(models: Command, context: CommandContext): void {
  const roll = models
    .command('roll')
    .description(
      'move an alias to another model, region by region; each wave waits for the one before to pass its gate',
    )
    .argument('<alias>')
    .option('--to <model>', 'begin a roll to this model')
    .option('--status', 'how far it is (also without any other option)')
    .option('--watch', 'show it until nothing more happens by itself')
    .option('--back', 'take every region back to the model before the roll, at once')
    .option('--waves <list>', 'order, e.g. "guangzhou;shanghai,beijing"; default: one region after the other', wavesOf)
    .option('--lease <time>', 'a region that is cut off for longer uses the old model meanwhile (60s)', leaseOf)
    .option('--gate-tasks <n>', 'tasks of each model that a region compares (50)', wholeNumber(1, GATE_TASKS_MAX))
    .option('--error-factor <x>', 'share of errors, as a multiple of the old model’s (2)', factorOf)
    .option('--p95-factor <x>', 'p95 of inference, as a multiple of the old model’s (3.5)', factorOf)
    .option('--skip-traffic-gate', 'loading and golden pictures suffice: for regions without traffic')
    .option('-r, --region <name>', 'region to tell or ask')
    .action(async (alias: string) => {
      const options = optionsOf<RollOptions>(roll);
      if ([options.to, options.back, options.status].filter(Boolean).length > 1)
        throw new Failure('INVALID_ARGUMENT', 'one of --to, --back and --status', { reason: 'USAGE' });
      const identity = options.to !== undefined || options.back ? 'operator' : 'client';
      await call(options, identity, async (client) => {
        const first = shown((await begin(client, alias, options)).alias);
        show(first, options, context);
        if (options.watch) await watch(client, first, options, context);
      });
    });
}

function begin(client: RpcClient<typeof RollService>, alias: string, options: RollOptions) {
  const timeout = { timeoutMs: CALL_TIMEOUT_MS };
  if (options.back) return client.rollBack({ alias }, timeout);
  if (options.to === undefined) return client.getRoll({ alias }, timeout);
  const request = {
    ...{ alias, model: options.to },
    waves: (options.waves ?? []).map((regions) => ({ regions: [...regions] })),
    leaseMs: BigInt(options.lease ?? 0),
    gate: {
      tasksMin: options.gateTasks ?? 0,
      errorFactor: options.errorFactor ?? 0,
      p95Factor: options.p95Factor ?? 0,
      skipTasks: options.skipTrafficGate ?? false,
    },
  };
  return client.startRoll(request, timeout);
}

async function watch(
  client: RpcClient<typeof RollService>,
  first: AliasView,
  options: GlobalOptions,
  context: CommandContext,
): Promise<void> {
  const alias = first.record?.alias ?? '';
  for (let last = formatRoll(first); ; ) {
    const view = shown((await client.getRoll({ alias }, { timeoutMs: CALL_TIMEOUT_MS })).alias);
    const text = formatRoll(view);
    if (text !== last) show(view, options, context);
    last = text;
    if (isOver(view)) return;
    await context.clock.sleep(WATCH_POLL_MS, context.signal);
  }
}

function show(view: AliasView, { json }: GlobalOptions, { terminal }: CommandContext): void {
  if (json) printJson(terminal, plain(AliasViewSchema, view));
  else print(terminal, formatRoll(view));
}

function call<T>(
  options: GlobalOptions,
  identity: 'client' | 'operator',
  use: (client: RpcClient<typeof RollService>) => Promise<T>,
): Promise<T> {
  return withRegion(options, { service: RollService, door: 'sync', identity }, use);
}

function shown(view: AliasView | undefined): AliasView {
  if (view !== undefined) return view;
  throw new Failure('INTERNAL', 'the answer says nothing of the alias');
}

function wavesOf(text: string): readonly (readonly string[])[] {
  const waves = text.split(';').map((wave) =>
    wave
      .split(',')
      .map((region) => region.trim())
      .filter((region) => region !== ''),
  );
  if (waves.every((wave) => wave.length > 0)) return waves;
  throw new InvalidArgumentError('expected regions with commas, waves with semicolons: "guangzhou;shanghai,beijing"');
}

function leaseOf(text: string): number {
  const parsed = LEASE_MS.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError('expected a time such as 60s or 5m');
}

function factorOf(text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError('expected a number above 0');
}
