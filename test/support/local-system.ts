import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  awaitModels,
  type Detour,
  LocalSystem,
  Progress,
  type Provisioned,
  provision,
  statePaths,
} from '@meridian/local';
import { type Channel, createChannel, loadTls } from '@meridian/rpc';
import { systemClock } from '@meridian/runtime';

export const repository = resolve(import.meta.dirname, '..', '..');
export const sharedState = resolve(process.env.MERIDIAN_STATE ?? join(repository, '.state'));

export interface RunningSystem {
  readonly system: LocalSystem;
  readonly provisioned: Provisioned;
  readonly stateRoot: string;
  /** A channel to a region's scheduler, with the client's certificate or another folder below `certificates`. */
  channel(region: string, identity?: string): Promise<Channel>;
  syncChannel(region: string, identity?: string): Promise<Channel>;
  planChannel(region: string, identity?: string): Promise<Channel>;
  /** Stops everything and removes the state folder. */
  stop(): Promise<void>;
}

export interface StartOptions {
  readonly workers?: number;
  readonly auditor?: boolean;
  /** Only these of the regions in regions.yaml. */
  readonly regions?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Instead of those of regions.yaml. */
  readonly capacities?: Readonly<Record<string, number>>;
  /** Kept for a second start; default: a new temporary folder. */
  readonly stateRoot?: string;
  readonly onChange?: (event: { name: string; text: string }) => void;
  readonly detour?: Detour;
}

const WINDOW_BYTES = 8 * 2 ** 20;

/** What `make run` would start, on a state folder of its own; downloads and converted models are shared. */
export async function startLocalSystem(options: StartOptions = {}): Promise<RunningSystem> {
  const stateRoot = options.stateRoot ?? (await mkdtemp(join(tmpdir(), 'meridian-')));
  const silent = new Progress(() => undefined, systemClock);
  const provisioned = await provision(
    {
      repository,
      stateRoot: sharedState,
      samplesDirectory: process.env.SAMPLES ?? '',
      natsServer: process.env.NATS_SERVER,
      path: process.env.PATH ?? '',
    },
    silent,
  );
  await mkdir(stateRoot, { recursive: true });
  await symlink(statePaths(sharedState).models, statePaths(stateRoot).models).catch(() => undefined);
  const wanted = new Set(options.regions ?? provisioned.topology.regions.map((region) => region.name));
  const system = await LocalSystem.prepare({
    stateRoot,
    repository,
    topology: {
      regions: provisioned.topology.regions
        .filter((region) => wanted.has(region.name))
        .map((region) => ({ ...region, capacity: options.capacities?.[region.name] ?? region.capacity })),
      links: provisioned.topology.links.filter((link) => link.between.every((end) => wanted.has(end))),
    },
    natsServer: provisioned.natsServer,
    workers: options.workers ?? 1,
    auditor: options.auditor ?? false,
    extraEnvironment: options.environment ?? {},
    onChange: options.onChange ?? (() => undefined),
    ...(options.detour !== undefined && { detour: options.detour }),
  });
  const channels: Channel[] = [];
  const open = async (address: string, identity: string): Promise<Channel> => {
    const tls = await loadTls(join(system.paths.certificates, identity));
    const channel = createChannel({ address, tls, windowBytes: WINDOW_BYTES });
    channels.push(channel);
    return channel;
  };
  try {
    await system.start();
    const down = [...system.regions.values()].filter(({ state }) => state !== 'up');
    if (down.length > 0)
      throw new Error(down.map(({ name, problem }) => `${name} did not start: ${problem}`).join('; '));
    await awaitModels(system, systemClock);
  } catch (error) {
    await system.stop();
    throw error;
  }
  return {
    system,
    provisioned,
    stateRoot,
    channel: (region, identity = 'client') => open(system.schedulerAddress(region), identity),
    syncChannel: (region, identity = 'operator') => open(system.syncAddress(region), identity),
    planChannel: (region, identity = 'client') => open(system.optimizerAddress(region), identity),
    stop: async () => {
      for (const channel of channels) channel.close();
      await system.stop();
      if (options.stateRoot === undefined) await rm(stateRoot, { recursive: true, force: true });
    },
  };
}
