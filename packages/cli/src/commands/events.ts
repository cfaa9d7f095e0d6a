import { Failure } from '@meridian/failure';
import { type Command, InvalidArgumentError } from 'commander';
import { eventJson, formatEvent } from '../format/event.ts';
import { chooseRegion, findSystem, type RegionDoors } from '../running-system.ts';
import { note, print, printJson } from '../terminal.ts';
import { type CommandContext, type GlobalOptions, optionsOf } from './context.ts';

interface EventsOptions {
  readonly follow?: boolean;
  readonly since?: number;
  readonly tenant?: string;
}

const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `30s`, `10m`, `2h`, `1d` in milliseconds. */
function parseAge(text: string): number {
  const match = /^(\d+)([smhd])$/.exec(text);
  if (match === null) throw new InvalidArgumentError('expected an age such as 30s, 10m, 2h or 1d');
  return Number(match[1]) * (UNITS_MS[match[2] ?? ''] ?? 0);
}

export function addEventsCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('events')
    .description(
      'public events: jobs accepted, placed, re-placed, finished, cancelled; conflicts found, changed, resolved (of the last day)',
    )
    .option('-f, --follow', 'go on with events as they come, until Ctrl-C')
    .option('--since <age>', 'stored events of that age and younger (default: all, or none with --follow)', parseAge)
    .option('-r, --region <name>', 'events of this region only (default: all regions)')
    .option('--tenant <name>', 'events of this tenant only')
    .action(() => showEvents(optionsOf<EventsOptions>(command), context));
}

async function showEvents(options: EventsOptions & GlobalOptions, context: CommandContext): Promise<void> {
  const { terminal, clock, signal } = context;
  const system = await findSystem(options);
  const regions = options.region === undefined ? system.regions : [await chooseRegion(system, options.region)];
  const follow = options.follow === true;
  const sinceMs = options.since === undefined ? (follow ? undefined : 0) : clock.nowMs() - options.since;
  // Loaded here: the other commands need no broker.
  const { readEvents } = await import('../event-feed.ts');
  const show = async (region: RegionDoors) => {
    const feed = readEvents({
      region,
      certificates: system.certificates,
      follow,
      signal,
      onInvalid: (problem) => note(terminal, `left out: ${problem}`),
      ...(options.tenant !== undefined && { tenant: options.tenant }),
      ...(sinceMs !== undefined && { sinceMs }),
    });
    for await (const event of feed)
      if (options.json) printJson(terminal, eventJson(event));
      else print(terminal, formatEvent(event));
  };
  // One region that is away does not hide the others' events.
  const failures = (await Promise.allSettled(regions.map(show))).filter((outcome) => outcome.status === 'rejected');
  if (signal.aborted) return;
  for (const { reason } of failures.slice(1)) note(terminal, Failure.from(reason).message);
  if (failures[0] !== undefined) throw failures[0].reason;
}
