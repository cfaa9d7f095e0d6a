import { Failure } from '@meridian/failure';

/** A region as seen from where the file is read: addresses of other regions are where this region reaches them. */
export interface Region {
  /** One subject token: 1–63 of a–z, 0–9 and inner hyphens. */
  readonly name: string;
  /** Degrees north. */
  readonly latitude: number;
  /** Degrees east. */
  readonly longitude: number;
  /** Residency zone: a residency rule may name it instead of its regions. */
  readonly zone: string;
  /** Worker-seconds per second of the reference model. */
  readonly capacity: number;
  /** host:port that the brokers of other regions dial. */
  readonly leafAddress: string;
  /** host:port of the public gRPC door of its scheduler. */
  readonly grpcAddress: string;
}

/** An undirected link: the same in both directions. */
export interface Link {
  readonly between: readonly [string, string];
  /** Milliseconds there and back, without load. */
  readonly roundTripMs: number;
  /** Megabits per second, each way. */
  readonly bandwidthMbps: number;
}

/** Every pair of regions has exactly one link. */
export interface Topology {
  readonly regions: readonly Region[];
  readonly links: readonly Link[];
}

/** @throws Failure NOT_FOUND / REGION_UNKNOWN that lists the known regions. Not retryable. */
export function regionOf(topology: Topology, name: string): Region {
  const region = topology.regions.find((candidate) => candidate.name === name);
  if (region !== undefined) return region;
  const known = topology.regions.map((candidate) => candidate.name).join(', ');
  throw new Failure('NOT_FOUND', `there is no region ${JSON.stringify(name)}; the regions are ${known}`, {
    reason: 'REGION_UNKNOWN',
    details: { region: name },
  });
}

/** All regions but the named one, in the file's order. @throws like {@link regionOf}. */
export function peersOf(topology: Topology, name: string): readonly Region[] {
  regionOf(topology, name);
  return topology.regions.filter((region) => region.name !== name);
}

/** The link of two different regions. @throws like {@link regionOf}; also for a region and itself. */
export function linkOf(topology: Topology, a: string, b: string): Link {
  regionOf(topology, a);
  regionOf(topology, b);
  const link = topology.links.find(({ between }) => between.includes(a) && between.includes(b));
  if (link !== undefined && a !== b) return link;
  throw new Failure('NOT_FOUND', `there is no link between ${a} and ${b}`, { reason: 'LINK_UNKNOWN' });
}

/** The configured round trip, 0 from a region to itself; for use until it has been measured. @throws like {@link regionOf}. */
export function roundTripMs(topology: Topology, a: string, b: string): number {
  if (a === b) return regionOf(topology, a) && 0;
  return linkOf(topology, a, b).roundTripMs;
}
