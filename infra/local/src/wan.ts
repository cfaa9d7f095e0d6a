import type { LinkEmulator } from '@meridian/links';
import { formatTopology, roundTripMs, type Topology } from '@meridian/topology';

export type Door = 'leaf' | 'grpc';

/** A way from one region to a door of another one. */
export interface Way {
  readonly viewer: string;
  readonly target: string;
  readonly door: Door;
}

/** Stands before the door of a way. @returns the port that the way leads to in its place */
export type Detour = (way: Way, doorPort: number) => Promise<number>;

/** Name of the port through which `viewer` reaches the door of `target`. */
export function routeName(viewer: string, target: string, door: Door): string {
  return `wan/${viewer}>${target}/${door}`;
}

/** Names of all ports that the emulated WAN listens on. */
export function routeNames(topology: Topology): string[] {
  const names: string[] = [];
  for (const viewer of topology.regions)
    for (const target of topology.regions)
      if (viewer !== target)
        names.push(routeName(viewer.name, target.name, 'leaf'), routeName(viewer.name, target.name, 'grpc'));
  return names;
}

/**
 * Opens one route for each ordered pair of regions and door, with the link's delay and bandwidth.
 * @param detour tests listen in there
 */
export async function openWan(
  emulator: LinkEmulator,
  topology: Topology,
  port: (name: string) => number,
  detour: Detour = (_, doorPort) => Promise.resolve(doorPort),
): Promise<void> {
  for (const link of topology.links)
    for (const [viewer, target] of [link.between, [link.between[1], link.between[0]]] as const)
      for (const door of ['leaf', 'grpc'] as const)
        await emulator.open({
          name: routeName(viewer, target, door),
          link: [viewer, target],
          target: { host: '127.0.0.1', port: await detour({ viewer, target, door }, port(`${target}/${door}`)) },
          oneWayDelayMs: roundTripMs(topology, viewer, target) / 2,
          bandwidthMbps: link.bandwidthMbps,
          listenPort: port(routeName(viewer, target, door)),
        });
}

/** The topology as one region sees it: its own doors directly, its peers' through the WAN. */
export function viewOf(topology: Topology, viewer: string, port: (name: string) => number): Topology {
  const address = (target: string, door: Door): string =>
    `127.0.0.1:${port(target === viewer ? `${target}/${door}` : routeName(viewer, target, door))}`;
  const regions = topology.regions.map((region) => ({
    ...region,
    leafAddress: address(region.name, 'leaf'),
    grpcAddress: address(region.name, 'grpc'),
  }));
  return { ...topology, regions };
}

export function viewText(topology: Topology, viewer: string, port: (name: string) => number): string {
  return formatTopology(viewOf(topology, viewer, port));
}
