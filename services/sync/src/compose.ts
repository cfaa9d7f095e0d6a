import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { VersionVector } from '@meridian/causality';
import { RollService } from '@meridian/contracts/roll';
import { StateService } from '@meridian/contracts/state';
import type { Failure } from '@meridian/failure';
import { CLOCK_DRIFT_MAX_MS, connectService, type MessageBus, SpanShipper } from '@meridian/messaging';
import type { PlacedRegion } from '@meridian/residency';
import { loadTls, type TlsFiles } from '@meridian/rpc';
import { RpcServer } from '@meridian/rpc/server';
import type { Component, ServiceComposition, ServiceContext } from '@meridian/runtime';
import { linkOf, parseTopology, peersOf, regionOf } from '@meridian/topology';
import { BlobCollector } from './blobs/blob-collector.ts';
import { BlobMetrics } from './blobs/blob-metrics.ts';
import { BlobReplicator } from './blobs/blob-replicator.ts';
import { BlobStore } from './blobs/blob-store.ts';
import { CatalogueSeeder } from './catalogue/seeder.ts';
import type { SyncConfig } from './config.ts';
import { ConflictEvents } from './conflicts/conflict-events.ts';
import { History } from './history/history.ts';
import { BlobMessages } from './inbound/blob-messages.ts';
import { PeerMessages } from './inbound/peer-messages.ts';
import type { Administration } from './inbound/ports.ts';
import { Refusals } from './inbound/refusals.ts';
import { ROLL_SERVICE_ALLOW, rollServiceHandlers } from './inbound/roll-service.ts';
import { STATE_SERVICE_ALLOW, stateServiceHandlers } from './inbound/state-service.ts';
import { type LinkFacts, LinkIntervals } from './links/link-intervals.ts';
import { LogMarkerFile } from './outbound/log-marker.ts';
import { MapFile } from './outbound/map-file.ts';
import { NatsBlobSource } from './outbound/nats-blob-source.ts';
import { NatsPeers } from './outbound/nats-peers.ts';
import { NatsStateLog } from './outbound/nats-state-log.ts';
import { ModelProblems } from './readiness/model-problems.ts';
import { Readiness } from './readiness/readiness.ts';
import { type AwaitableState, AwaitedRecords } from './records/awaited-records.ts';
import { LiveMembers, type Members } from './replicator/members.ts';
import { SyncMetrics } from './replicator/metrics.ts';
import { Replicator } from './replicator/replicator.ts';
import { EvidenceDesk } from './roll/evidence-desk.ts';
import { RollDriver } from './roll/roll-driver.ts';
import { Rolls } from './roll/rolls.ts';

type Context = ServiceContext<SyncConfig>;

/** A lease must outlast some fetches: one that is lost is no cut. */
const LEASE_HEADS = 5;
/** Callers are in the same region. */
const WINDOW_BYTES = 1024 * 1024;

/** Wires the sync service to its region's broker, and to the gRPC door of the region's services. */
export async function compose(context: Context): Promise<ServiceComposition> {
  const { config } = context;
  const topology = parseTopology(await readFile(config.topologyFile, 'utf8'));
  regionOf(topology, config.region);
  const tls = loadTls(config.tlsDirectory);
  let vector = () => VersionVector.EMPTY;
  const bus = await connectService(context, { service: 'sync', role: 'sync', tls, knowledge: () => vector() });
  const members = peersOf(topology, config.region).map(({ name }) => name);
  const linkTo = (peer: string) => (members.includes(peer) ? linkOf(topology, config.region, peer) : undefined);
  const assembly = assemble(context, { bus, members, linkTo, regions: topology.regions, onFatal: crash });
  vector = () => assembly.replicator.vector;
  const door = new StateDoor(context, tls, assembly);
  const closing: Component = { name: 'broker', start: async () => undefined, stop: () => bus.close() };
  const problem = () => (bus.connected ? undefined : 'the broker does not answer');
  return { components: [closing, ...assembly.components, door], info: () => ({ grpcPort: door.port }), problem };
}

export interface Doors {
  readonly bus: MessageBus;
  /** All other regions. */
  readonly members: readonly string[];
  /** Undefined for a region that the topology does not have. */
  readonly linkTo: (peer: string) => LinkFacts | undefined;
  /** Every region, in the order of the topology. */
  readonly regions: readonly PlacedRegion[];
  /** The state log is not ours any more. */
  readonly onFatal: (failure: Failure) => void;
}

export interface Assembly {
  readonly replicator: Replicator;
  readonly blobs: BlobStore;
  readonly blobReplicator: BlobReplicator;
  readonly readiness: Readiness;
  readonly awaited: AwaitedRecords;
  readonly history: History;
  readonly administration: Administration;
  readonly links: LinkIntervals;
  readonly refusals: Refusals;
  readonly problems: ModelProblems;
  readonly rolls: Rolls;
  readonly evidence: EvidenceDesk;
  readonly members: Members;
  readonly regions: readonly PlacedRegion[];
  readonly components: readonly Component[];
}

/** The parts between broker and gRPC door. Exported for tests that bring their own broker. */
export function assemble(context: Omit<Context, 'config'> & { readonly config: SyncConfig }, doors: Doors): Assembly {
  const { config, clock, random, logger, telemetry } = context;
  const { region } = config;
  const { bus, regions, linkTo, onFatal } = doors;
  const links = new LinkIntervals({
    ...{ intervalMinMs: config.fetchIntervalMs, intervalMaxMs: config.fetchIntervalMaxMs, linkTo },
    nowMs: () => clock.monotonicMs(),
  });
  const replicator = new Replicator({
    ...{ region, members: doors.members, clock, random, logger },
    log: new NatsStateLog(bus, { logger, random }),
    peers: new NatsPeers({ bus, links, clock }),
    metrics: new SyncMetrics(telemetry.meter),
    fetchIntervalMs: config.fetchIntervalMs,
    headIntervalMs: config.headIntervalMs,
    marker: new LogMarkerFile(config.stateDirectory),
    driftMaxMs: CLOCK_DRIFT_MAX_MS,
    onFatal,
  });
  const names = regions.map(({ name }) => name);
  const members = new LiveMembers(region, names, replicator);
  const catalogue = config.catalogueDirectory;
  const blobs = new BlobStore({
    directory: config.blobDirectory,
    readOnlyDirectories: catalogue === undefined ? [] : [join(catalogue, 'blobs')],
    bytesMax: config.blobBytesMax,
  });
  const blobReplicator = new BlobReplicator({
    ...{ members, replicator, clock, random, logger },
    store: blobs,
    source: new NatsBlobSource(bus),
    bytesPerSecondMax: config.blobBytesPerSecondMax,
    metrics: new BlobMetrics(telemetry.meter),
  });
  const offered = new MapFile(join(config.stateDirectory, 'offered-models.json'));
  const readiness = new Readiness({ region, replicator, clock, logger, unreadyAfterMs: config.unreadyAfterMs });
  const awaited = new AwaitedRecords({
    ...{ state: awaitable(replicator), clock, random, isMember: (from: string) => members.others.includes(from) },
    fetchKeys: (peer, keys) => replicator.want(peer, keys),
  });
  const refusals = new Refusals({ meter: telemetry.meter, clock, logger });
  const following = { bus, replicator, clock, random, logger };
  const history = new History(following);
  const announced = new MapFile(join(config.stateDirectory, 'announced-conflicts.json'));
  const administration: Administration = replicator;
  const [problems, evidence] = [new ModelProblems(clock), new EvidenceDesk()];
  const rolls = new Rolls({ region, members, replicator, clock, random });
  const components = [
    new SpanShipper({ bus, telemetry, clock }),
    folder(config.stateDirectory),
    blobs,
    replicator,
    new BlobMessages({ bus, store: blobs, members, refusals }),
    new PeerMessages({ bus, replicator, peerWaitMs: config.peerWaitMs, refusals }),
    new CatalogueSeeder({
      ...{ directory: catalogue, offered, blobs, replicator, logger },
      admit: (manifest) => rolls.requireFree(manifest),
    }),
    blobReplicator,
    new BlobCollector({ store: blobs, blobReplicator, graceMs: config.blobGraceMs, clock, logger }),
    readiness,
    new ConflictEvents({ ...following, announced }),
    history,
    new RollDriver({
      ...{ region, members, replicator, problems, evidence, blobs, clock, logger },
      knownAt: (peer) => replicator.timesCaughtUpWith(peer),
      leaseMinMs: LEASE_HEADS * config.headIntervalMs,
    }),
  ];
  const models = { blobs, blobReplicator, readiness, problems, rolls, evidence };
  const shown = { administration, links, refusals, members, regions };
  return { replicator, ...models, awaited, history, ...shown, components };
}

/** The gRPC door. It opens last: health can only be asked for once the view is there. */
class StateDoor implements Component {
  readonly name = 'grpc';
  port = 0;
  readonly #server: RpcServer;
  readonly #listen: string;

  constructor(context: Context, tls: TlsFiles, parts: Omit<Assembly, 'components'>) {
    const { config, logger, clock, telemetry } = context;
    const { tracer } = telemetry;
    this.#listen = config.grpcListen;
    this.#server = new RpcServer({ tls, windowBytes: WINDOW_BYTES, logger, clock, tracer });
    const handlers = stateServiceHandlers({ region: config.region, tracer, clock, ...parts });
    this.#server.addService(StateService, STATE_SERVICE_ALLOW, handlers);
    const rolls = rollServiceHandlers({ region: config.region, clock, ...parts });
    this.#server.addService(RollService, ROLL_SERVICE_ALLOW, rolls);
  }

  async start(): Promise<void> {
    this.port = await this.#server.listen(this.#listen);
  }

  async drain(): Promise<void> {
    await this.#server.drain(DRAIN_GRACE_MS);
  }

  stop(): Promise<void> {
    return this.#server.close();
  }
}

/** For uploads and blobs under way; watches end at once. */
const DRAIN_GRACE_MS = 5_000;

function folder(path: string): Component {
  return {
    name: 'state folder',
    start: async () => void (await mkdir(path, { recursive: true })),
    stop: async () => undefined,
  };
}

/** Outside of any promise, so that the process ends with this failure as its last log line. */
function crash(failure: Failure): void {
  queueMicrotask(() => {
    throw failure;
  });
}

/** Waits compare with all that the region has seen, also of ended lives. */
function awaitable(replicator: Replicator): AwaitableState {
  return {
    get vector() {
      return replicator.completeVector;
    },
    get: (key) => replicator.get(key),
    onChange: (listener) => replicator.onChange(listener),
  };
}
