import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StateService } from '@meridian/contracts/state';
import { connectService, type MessageBus, SpanShipper } from '@meridian/messaging';
import { Replica } from '@meridian/replica';
import { createChannel, createClient, loadTls, type TlsFiles } from '@meridian/rpc';
import type { Component, ServiceComposition, ServiceContext } from '@meridian/runtime';
import { parseTopology, regionOf, type Topology } from '@meridian/topology';
import { PacedSlots } from './child/paced-slots.ts';
import { ChildPool } from './child/pool.ts';
import { ClaimDesk } from './claims/claim-desk.ts';
import type { WorkerConfig } from './config.ts';
import { ClaimSource } from './intake/claim-source.ts';
import { Pace } from './intake/pace.ts';
import { KeptManifests } from './models/kept-manifests.ts';
import { ModelLoader } from './models/model-loader.ts';
import { ModelStore } from './models/model-store.ts';
import { ClaimPreparation } from './models/preparation.ts';
import { RecordRequests } from './models/record-requests.ts';
import { WorkerObserver } from './outbound/observer.ts';
import { TaskSpans } from './outbound/task-spans.ts';
import { OwnerPool } from './owners/owner-pool.ts';
import { RegionLoad } from './owners/region-load.ts';
import { Worker } from './worker.ts';

type Context = ServiceContext<WorkerConfig>;

/** Chunks of weights, from within the region. */
const SYNC_WINDOW_BYTES = 1024 * 1024;

/** Wires the worker to its region's broker, its sync service and the schedulers of all regions. */
export async function compose(context: Context): Promise<ServiceComposition> {
  const { config } = context;
  const topology = parseTopology(await readFile(config.topologyFile, 'utf8'));
  regionOf(topology, config.region);
  const tls = loadTls(config.tlsDirectory);
  const incarnation = context.random.bigint64().toString(16).padStart(16, '0');
  const channel = createChannel({
    address: config.syncAddress,
    tls,
    windowBytes: SYNC_WINDOW_BYTES,
    serverRoles: ['sync'],
  });
  const state = createClient(StateService, channel);
  const replica = new Replica({ ...context, client: state });
  const bus = await connectService(context, {
    ...{ service: 'inference-worker', role: 'worker', tls, incarnation },
    knowledge: () => replica.vector(),
  });
  const { owners, worker, models, pool } = assemble(context, { bus, replica, state, topology, tls, incarnation });
  const spans = new SpanShipper({ bus, telemetry: context.telemetry, clock: context.clock });
  const components: Component[] = [
    closing('broker', () => bus.close()),
    closing('sync-channel', () => channel.close()),
    spans,
    replica,
    owners,
    worker,
    models,
  ];
  const problem = () => {
    if (!bus.connected) return 'the broker does not answer';
    if (pool.pids.length === 0) return 'no inference process runs';
    return models.servesAny ? undefined : 'no model is loaded';
  };
  return { components, info: () => ({ worker: config.replica, incarnation, children: pool.pids }), problem };
}

interface Doors {
  readonly bus: MessageBus;
  readonly replica: Replica;
  readonly state: ReturnType<typeof createClient<typeof StateService>>;
  readonly topology: Topology;
  readonly tls: TlsFiles;
  readonly incarnation: string;
}

/** The parts between the doors. Exported for tests that bring their own broker. */
export function assemble(context: Context, doors: Doors) {
  const { config, clock, random, logger, telemetry } = context;
  const { slots, inFlightPerSlot, prefetchMax, replica: name } = config;
  const places = Math.max(1, Math.round(regionOf(doors.topology, config.region).capacity));
  const isPaced = config.paceMs > 0;
  const pace = new Pace({
    ...(isPaced ? { slots: places, inFlightPerSlot: 1 } : { slots, inFlightPerSlot }),
    prefetchMax,
  });
  const pool = new ChildPool({
    clock,
    random,
    logger,
    slots,
    limits: {
      inFlightMax: inFlightPerSlot,
      memoryBytesMax: config.childMemoryMaxBytes,
      modelsLoadedMax: config.modelsLoadedMax,
    },
  });
  const load = new RegionLoad(clock);
  const own = () => {
    const { onTheWay, settled } = desk.idleClaims;
    const unacknowledged = settled + source.acknowledgementsWaiting;
    return { slots: isPaced ? places : slots, onTheWay, settled: unacknowledged, ...pace.measured };
  };
  const owners = new OwnerPool({ ...doors, region: config.region, worker: name, load, own, clock, random, logger });
  const store = new ModelStore({
    directory: join(config.stateDirectory, 'models'),
    client: doors.state,
    bytesMax: config.modelStoreBytesMax,
    logger,
  });
  const manifests = new KeptManifests(join(config.stateDirectory, 'manifests'), logger);
  const models = new ModelLoader({
    ...{ replica: doors.replica, client: doors.state, store, manifests, slots: pool, worker: name },
    ...{ clock, random, logger },
    onServed: (model) => source.addModel(model.name),
  });
  const source: ClaimSource = new ClaimSource({
    ...{ bus: doors.bus, clock, random, logger },
    mayPull: () => desk.mayPull,
    target: () => pace.target,
    take: (facts, message, laneId) => desk.take(facts, message, laneId),
  });
  const requests = new RecordRequests({ client: doors.state, clock, logger });
  const { recordWaitMs } = config;
  const desk: ClaimDesk = new ClaimDesk({
    clock,
    limits: config,
    owners,
    preparation: new ClaimPreparation({ replica: doors.replica, models, requests, clock, recordWaitMs }),
    slots: isPaced ? new PacedSlots({ slots: pool, clock, places, paceMs: config.paceMs }) : pool,
    credit: source,
    observer: new WorkerObserver({
      spans: new TaskSpans(telemetry.tracer, name),
      pace,
      meter: telemetry.meter,
      logger,
    }),
  });
  owners.listen(desk);
  return { owners, models, pool, desk, source, worker: new Worker({ source, desk, pool }) };
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
