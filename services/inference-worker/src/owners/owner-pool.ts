import { CollectorService } from '@meridian/contracts/collector';
import { type Channel, createChannel, createClient, type TlsFiles, windowBytes } from '@meridian/rpc';
import type { Clock, Component, Logger, Random } from '@meridian/runtime';
import { linkOf, type Topology } from '@meridian/topology';
import type { OwnerLink, Owners } from '../claims/ports.ts';
import type { WorkerLoad } from '../codec/report-codec.ts';
import { AttachStream, type OwnerEvents } from './attach-stream.ts';
import type { RegionLoad } from './region-load.ts';

export interface OwnerPoolOptions {
  readonly topology: Topology;
  readonly region: string;
  readonly worker: string;
  /** Random, one for each start of the process. */
  readonly incarnation: string;
  readonly tls: TlsFiles;
  /** Of the region, as its scheduler says. */
  readonly load: RegionLoad;
  /** Of this worker, for that scheduler. */
  readonly own: () => WorkerLoad;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Without a link in between, two large pictures in flight are plenty. */
const LOCAL_WINDOW_BYTES = 1024 * 1024;

interface Attached {
  readonly stream: AttachStream;
  readonly channel: Channel;
}

/**
 * The streams to the schedulers of all regions, at most one a region: any replica of it relays to the owner of a task.
 * All are opened at start: the own region's scheduler must know its workers, and a first claim from far away must not
 * wait for a connection (several round trips).
 */
export class OwnerPool implements Owners, Component {
  readonly name = 'owners';
  readonly #o: OwnerPoolOptions;
  readonly #attached = new Map<string, Attached>();
  #events: OwnerEvents | undefined;
  #stopping = false;

  constructor(options: OwnerPoolOptions) {
    this.#o = options;
  }

  /** To be called before anything else. */
  listen(events: OwnerEvents): void {
    this.#events = events;
  }

  start(): Promise<void> {
    for (const { name } of this.#o.topology.regions) this.linkOf(name);
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(
      Array.from(this.#attached.values(), async ({ stream, channel }) => {
        await stream.close();
        channel.close();
      }),
    );
  }

  linkOf(region: string): OwnerLink | undefined {
    const known = this.#attached.get(region);
    if (known !== undefined) return known.stream;
    const address = this.#o.topology.regions.find(({ name }) => name === region)?.grpcAddress;
    if (address === undefined || this.#events === undefined || this.#stopping) return undefined;
    const { tls, clock, random, logger, load, own, worker, incarnation } = this.#o;
    const channel = createChannel({ address, tls, windowBytes: this.#windowBytes(region), serverRoles: ['scheduler'] });
    const client = createClient(CollectorService, channel);
    const hello = { worker, region: this.#o.region, incarnation };
    const stream = new AttachStream({ region, client, hello, load, own, events: this.#events, clock, random, logger });
    this.#attached.set(region, { stream, channel });
    stream.open();
    return stream;
  }

  #windowBytes(region: string): number {
    if (region === this.#o.region) return LOCAL_WINDOW_BYTES;
    const link = linkOf(this.#o.topology, this.#o.region, region);
    return windowBytes(link.roundTripMs, link.bandwidthMbps);
  }
}
