import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Failure } from '@meridian/failure';
import { z } from 'zod';

/** Addresses of one region's doors, as seen from here. */
export interface RegionDoors {
  readonly name: string;
  /** host:port of the scheduler's gRPC. */
  readonly scheduler: string;
  /** host:port of the sync service's gRPC. */
  readonly sync: string;
  /** host:port of the optimizer's gRPC. */
  readonly optimizer: string;
  /** tls://host:port of the broker. */
  readonly nats: string;
}

export interface RunningSystem {
  readonly regions: readonly RegionDoors[];
  /** Folder with `client/`, `operator/` and `<region>/nkeys/`. */
  readonly certificates: string;
  /** Path of the local run's control socket; absent for a system named by address. */
  readonly control?: string;
}

/** Where to find the system: by the state folder of a local run, or by the address of one region. */
export interface SystemOptions {
  readonly state: string;
  readonly address?: string;
  readonly certificates?: string;
  readonly region?: string;
}

const runningSchema = z.object({
  regions: z.record(
    z.string(),
    z.object({ scheduler: z.string(), sync: z.string(), optimizer: z.string(), nats: z.string() }),
  ),
  control: z.string(),
  certificates: z.string(),
});

/** @throws Failure FAILED_PRECONDITION / NOT_RUNNING that says how to start or name a system. */
export async function findSystem(options: SystemOptions): Promise<RunningSystem> {
  if (options.address !== undefined) return systemAt(options.address, options);
  const path = join(options.state, 'run', 'running.json');
  const text = await readFile(path, 'utf8').catch(() => {
    throw new Failure(
      'FAILED_PRECONDITION',
      `no system runs on ${options.state}: start one with \`make run\`, or name one with --address host:port --certificates DIR`,
      { reason: 'NOT_RUNNING' },
    );
  });
  const parsed = runningSchema.safeParse(parseJson(text));
  if (!parsed.success)
    throw new Failure('FAILED_PRECONDITION', `${path} is not what this version of \`make run\` writes: start it again`);
  const { regions, control, certificates } = parsed.data;
  return {
    regions: Object.entries(regions).map(([name, doors]) => ({ name, ...doors })),
    control,
    certificates: options.certificates ?? certificates,
  };
}

const HOST_PORT = /^.+:\d{1,5}$/;

/** At an explicit address every door is taken to be: a caller names the one that its command talks to. */
function systemAt(address: string, options: SystemOptions): RunningSystem {
  if (options.certificates === undefined)
    throw new Failure('INVALID_ARGUMENT', '--address needs --certificates DIR, the folder with client/ and operator/');
  if (!HOST_PORT.test(address))
    throw new Failure('INVALID_ARGUMENT', `--address: expected host:port, got ${JSON.stringify(address)}`);
  const name = options.region ?? address;
  const doors = { name, scheduler: address, sync: address, optimizer: address, nats: `tls://${address}` };
  return { regions: [doors], certificates: options.certificates };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * The named region; without a name the first one whose door opens.
 * @throws Failure NOT_FOUND / REGION_UNKNOWN listing the regions; UNAVAILABLE when none answers.
 */
export async function chooseRegion(system: RunningSystem, name?: string): Promise<RegionDoors> {
  const known = system.regions.map((region) => region.name).join(', ');
  if (name !== undefined) {
    const named = system.regions.find((region) => region.name === name);
    if (named !== undefined) return named;
    throw new Failure('NOT_FOUND', `there is no region ${JSON.stringify(name)}; the regions are ${known}`, {
      reason: 'REGION_UNKNOWN',
    });
  }
  for (const region of system.regions) if (await opens(region.scheduler)) return region;
  if (system.control === undefined)
    throw new Failure('UNAVAILABLE', `nothing answers at ${known}: is the address right?`, { reason: 'NOT_RUNNING' });
  throw new Failure(
    'UNAVAILABLE',
    `no region answers (${known}): see \`./meridian chaos status\`, or has \`make run\` ended?`,
    {
      reason: 'NOT_RUNNING',
    },
  );
}

const OPENS_TIMEOUT_MS = 1_000;

/** Whether something listens there; says nothing about its health. */
function opens(address: string): Promise<boolean> {
  const split = address.lastIndexOf(':');
  const host = address.slice(0, split).replace(/^\[|\]$/g, '');
  const port = Number(address.slice(split + 1));
  if (port > 65_535) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: OPENS_TIMEOUT_MS });
    const settle = (open: boolean) => {
      socket.destroy();
      resolve(open);
    };
    socket.once('connect', () => settle(true));
    socket.once('timeout', () => settle(false));
    socket.once('error', () => settle(false));
  });
}
