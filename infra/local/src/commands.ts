import { Failure } from '@meridian/failure';
import { z } from 'zod';
import type { ControlCommand } from './control-server.ts';
import type { LocalSystem } from './system.ts';

const regionArguments = z.strictObject({ region: z.string() });
const processArguments = z.strictObject({ region: z.string(), service: z.string() });
const linkArguments = z.strictObject({ a: z.string(), b: z.string() });
const healArguments = z.strictObject({ a: z.string().optional(), b: z.string().optional() });
const slowArguments = z.strictObject({ a: z.string(), b: z.string(), roundTripMs: z.number().min(0).max(10_000) });

/** What `./meridian chaos` and `./meridian regions reinit` may ask of a local run. */
export function controlCommands(system: LocalSystem): Readonly<Record<string, ControlCommand>> {
  const knownLink = (a: string, b: string): void => {
    system.region(a);
    system.region(b);
    if (a === b) throw new Failure('INVALID_ARGUMENT', 'a link has two different ends');
  };
  return {
    status: command(z.strictObject({}), async () => statusOf(system)),
    'kill-region': command(regionArguments, ({ region }) => system.region(region).kill()),
    'start-region': command(regionArguments, async ({ region }) => {
      const found = system.region(region);
      if (found.state === 'up') throw new Failure('FAILED_PRECONDITION', `region ${region} is up`);
      await found.start();
    }),
    reinit: command(regionArguments, ({ region }) => system.region(region).reinitialize()),
    cut: command(linkArguments, async ({ a, b }) => {
      knownLink(a, b);
      system.emulator.cut(a, b);
    }),
    blackhole: command(linkArguments, async ({ a, b }) => {
      knownLink(a, b);
      system.emulator.blackhole(a, b);
    }),
    heal: command(healArguments, async ({ a, b }) => {
      if (a !== undefined && b !== undefined) knownLink(a, b);
      system.emulator.heal(a, b);
    }),
    slow: command(slowArguments, async ({ a, b, roundTripMs }) => {
      knownLink(a, b);
      system.emulator.slow(a, b, { oneWayDelayMs: roundTripMs / 2 });
    }),
    kill: command(processArguments, async ({ region, service }) => system.process(region, service).signal('SIGKILL')),
    pause: command(processArguments, async ({ region, service }) => system.process(region, service).signal('SIGSTOP')),
    resume: command(processArguments, async ({ region, service }) => system.process(region, service).signal('SIGCONT')),
  };
}

function statusOf(system: LocalSystem): unknown {
  return Array.from(system.regions.values(), (region) => ({
    region: region.name,
    state: region.state,
    problem: region.problem,
    processes: region.processes.map((one) => ({ name: one.spec.name, state: one.state, pid: one.pid })),
  }));
}

function command<S extends z.ZodType>(schema: S, run: (given: z.output<S>) => Promise<unknown>): ControlCommand {
  return async (given) => {
    const parsed = schema.safeParse(given);
    if (parsed.success) return run(parsed.data);
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'arguments'}: ${issue.message}`);
    throw new Failure('INVALID_ARGUMENT', problems.join('; '));
  };
}
