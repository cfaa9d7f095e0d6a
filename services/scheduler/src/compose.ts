import { readFile } from 'node:fs/promises';
import { RollService } from '@meridian/contracts/roll';
import { StateService } from '@meridian/contracts/state';
import { connectService } from '@meridian/messaging';
import { Replica } from '@meridian/replica';
import { createChannel, createClient, loadTls, windowBytes } from '@meridian/rpc';
import { RpcServer } from '@meridian/rpc/server';
import type { Component, ServiceComposition, ServiceContext } from '@meridian/runtime';
import { parseTopology, regionOf, type Topology } from '@meridian/topology';
import { assemble } from './assemble.ts';
import type { SchedulerConfig } from './config.ts';

export type Context = ServiceContext<SchedulerConfig>;

/** The shared state is small, and the sync service is in the same region. */
const SYNC_WINDOW_BYTES = 1024 * 1024;

/** Wires the scheduler to its region's broker and sync service, and to its gRPC door. */
export async function compose(context: Context): Promise<ServiceComposition> {
  const { config, clock, logger, telemetry } = context;
  const topology = parseTopology(await readFile(config.topologyFile, 'utf8'));
  regionOf(topology, config.region);
  const tls = loadTls(config.tlsDirectory);
  const channel = createChannel({
    address: config.syncAddress,
    tls,
    windowBytes: SYNC_WINDOW_BYTES,
    serverRoles: ['sync'],
  });
  const replica = new Replica({ ...context, client: createClient(StateService, channel) });
  const bus = await connectService(context, {
    ...{ service: 'scheduler', role: 'scheduler', tls },
    knowledge: () => replica.vector(),
  });
  const server = new RpcServer({
    tls,
    windowBytes: longestWindowBytes(topology, config.region),
    logger,
    clock,
    tracer: telemetry.tracer,
  });
  const rolls = createClient(RollService, channel);
  const { components, door, owner } = assemble(context, { bus, replica, rolls, topology, server });
  const closings = [closing('broker', () => bus.close()), closing('sync channel', () => channel.close())];
  const problem = () => {
    if (!bus.connected) return 'the broker does not answer';
    return owner.started ? undefined : 'the jobs of earlier lives are not back yet';
  };
  return { components: [...closings, replica, ...components], info: () => ({ grpcPort: door.port }), problem };
}

/** For what arrives over the longest link: results, and uploads of clients that are as far. */
function longestWindowBytes(topology: Topology, region: string): number {
  const own = topology.links.filter((link) => link.between.includes(region));
  const sizes = own.map(({ roundTripMs, bandwidthMbps }) => windowBytes(roundTripMs, bandwidthMbps));
  return Math.max(windowBytes(0, 0), ...sizes);
}

/** Something that is open before the first start and closed after the last stop. */
function closing(name: string, close: () => Promise<void> | void): Component {
  return {
    name,
    start: () => Promise.resolve(),
    stop: async () => {
      await close();
    },
  };
}
