import { Failure } from '@meridian/failure';
import { type Command, InvalidArgumentError } from 'commander';
import { chooseRegion, findSystem } from '../running-system.ts';
import { note, print, printJson } from '../terminal.ts';
import { type CommandContext, optionsOf } from './context.ts';

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
  const { terminal, clock, signal } = context;
  const command = program
    .command('events')
    .description('public events of jobs: accepted, placed, re-placed, finished, cancelled (the last day is kept)')
    .option('-f, --follow', 'go on with events as they come, until Ctrl-C')
    .option('--since <age>', 'stored events of that age and younger (default: all, or none with --follow)', parseAge)
    .option('-r, --region <name>', 'events of this region only (default: all regions)')
    .option('--tenant <name>', 'events of this tenant only')
    .action(async () => {
      const options = optionsOf<EventsOptions>(command);
      const system = await findSystem(options);
      const regions = options.region === undefined ? system.regions : [await chooseRegion(system, options.region)];
      const follow = options.follow === true;
      const sinceMs = options.since === undefined ? (follow ? undefined : 0) : clock.nowMs() - options.since;
      // Loaded here: the other commands need no broker.
      const { eventData, readEvents } = await import('../event-feed.ts');
      const { formatEvent } = await import('../format/event.ts');
      const show = async (region: (typeof regions)[number]) => {
        const feed = readEvents({
          region,
          certificates: system.certificates,
          follow,
          signal,
          onInvalid: (problem) => note(terminal, `left out: ${problem}`),
          ...(options.tenant !== undefined && { tenant: options.tenant }),
          ...(sinceMs !== undefined && { sinceMs }),
        });
        for await (const event of feed) {
          if (!options.json) print(terminal, formatEvent(event));
          else {
            const { vector, hlc: _hlc, ...envelope } = event.envelope;
            printJson(terminal, {
              region: event.region,
              subject: event.subject,
              ...envelope,
              versionVector: vector.toString(),
              data: eventData(event),
            });
          }
        }
      };
      const failures = (await Promise.allSettled(regions.map(show))).filter((outcome) => outcome.status === 'rejected');
      if (signal.aborted) return;
      for (const { reason } of failures.slice(1)) note(terminal, Failure.from(reason).message);
      if (failures[0] !== undefined) throw failures[0].reason;
    });
}
