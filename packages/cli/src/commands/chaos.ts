import { type Command, InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { askLocalRun } from '../control.ts';
import { formatTable } from '../format/table.ts';
import { print, printJson } from '../terminal.ts';
import { type CommandContext, optionsOf } from './context.ts';

const ROUND_TRIP_MS_MAX = 10_000;

/** Faults in a local run: each is one request to its control socket. */
export function addChaosCommands(program: Command, context: CommandContext): void {
  const chaos = program
    .command('chaos')
    .description('faults in the local run: kill, cut, slow down, pause, and undo it');
  addRegionFaults(chaos, context);
  addLinkFaults(chaos, context);
  addProcessFaults(chaos, context);
  const status = chaos
    .command('status')
    .description('state of every process of the local run')
    .action(async () => {
      const options = optionsOf(status);
      const result = await askLocalRun(options, 'status', {});
      if (options.json) printJson(context.terminal, result);
      else print(context.terminal, formatStatus(result));
    });
}

function addRegionFaults(chaos: Command, context: CommandContext): void {
  for (const [name, description, done] of [
    ['kill-region', 'SIGKILL to all processes of a region; it stays down', 'is down'],
    ['start-region', 'start a region that is down', 'is up'],
  ] as const) {
    const command = chaos
      .command(name)
      .description(description)
      .argument('<region>')
      .action((region: string) => ask(command, context, name, { region }, `${region} ${done}`));
  }
}

function addLinkFaults(chaos: Command, context: CommandContext): void {
  for (const [name, description, done] of [
    ['cut', 'reset the connections between two regions and refuse new ones', 'are cut off from each other'],
    ['blackhole', 'let what goes between two regions vanish, connections stay open', 'hear nothing from each other'],
  ] as const) {
    const command = chaos
      .command(name)
      .description(description)
      .argument('<a>', 'region')
      .argument('<b>', 'region')
      .action((a: string, b: string) => ask(command, context, name, { a, b }, `${a} and ${b} ${done}`));
  }
  const heal = chaos
    .command('heal')
    .description('undo what was done to the link of two regions, or to all links')
    .argument('[a]', 'region')
    .argument('[b]', 'region')
    .action((a?: string, b?: string) => {
      if (a !== undefined && b === undefined) heal.error('error: heal takes two regions, or none for all links');
      const ends = a === undefined || b === undefined ? {} : { a, b };
      return ask(heal, context, 'heal', ends, a === undefined ? 'all links are healed' : `${a} and ${b} are healed`);
    });
  const slow = chaos
    .command('slow')
    .description('change the round trip between two regions')
    .argument('<a>', 'region')
    .argument('<b>', 'region')
    .requiredOption('--round-trip-ms <n>', 'milliseconds there and back', roundTrip)
    .action((a: string, b: string) => {
      const { roundTripMs } = optionsOf<{ roundTripMs: number }>(slow);
      return ask(slow, context, 'slow', { a, b, roundTripMs }, `${a} – ${b}: ${roundTripMs} ms`);
    });
}

function addProcessFaults(chaos: Command, context: CommandContext): void {
  for (const [name, description, done] of [
    ['kill', 'SIGKILL to a process; the local run starts it again', 'was killed'],
    ['pause', 'SIGSTOP to a process', 'is paused'],
    ['resume', 'SIGCONT to a paused process', 'goes on'],
  ] as const) {
    const command = chaos
      .command(name)
      .description(description)
      .argument('<service>', 'scheduler, inference-worker, sync, broker')
      .requiredOption('-r, --region <name>', 'its region')
      .action((service: string) => {
        const { region } = optionsOf(command);
        return ask(command, context, name, { region, service }, `${region}/${service} ${done}`);
      });
  }
}

async function ask(
  command: Command,
  { terminal }: CommandContext,
  name: string,
  commandArguments: Readonly<Record<string, unknown>>,
  done: string,
): Promise<void> {
  const options = optionsOf(command);
  const result = await askLocalRun(options, name, commandArguments);
  if (options.json) printJson(terminal, { ok: true, result });
  else print(terminal, done);
}

function roundTrip(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value <= ROUND_TRIP_MS_MAX) return value;
  throw new InvalidArgumentError(`expected 0 … ${ROUND_TRIP_MS_MAX} milliseconds`);
}

const statusSchema = z.array(
  z.object({
    region: z.string(),
    state: z.string(),
    processes: z.array(z.object({ name: z.string(), state: z.string(), pid: z.number().optional() })),
  }),
);

function formatStatus(result: unknown): string {
  const parsed = statusSchema.safeParse(result);
  if (!parsed.success) return JSON.stringify(result);
  const rows = parsed.data.flatMap(({ region, state, processes }) =>
    processes.map((one) => [
      region,
      state,
      one.name.replace(`${region}/`, ''),
      one.state,
      one.pid === undefined ? '–' : `${one.pid}`,
    ]),
  );
  return formatTable(['region', 'state', 'process', 'state', 'pid'], rows);
}
