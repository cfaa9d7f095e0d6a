import { join } from 'node:path';
import type { VersionVector } from '@meridian/causality';
import type { RollService } from '@meridian/contracts/roll';
import type { MessageBus } from '@meridian/messaging';
import type { Replica } from '@meridian/replica';
import type { RpcClient, RpcServer } from '@meridian/rpc';
import { attributeNames, type Component, type ServiceContext } from '@meridian/runtime';
import { linkOf, peersOf, type Topology } from '@meridian/topology';
import { CacheMeter } from './cache/cache-meter.ts';
import { ResultCache } from './cache/result-cache.ts';
import type { SchedulerConfig } from './config.ts';
import { Cutter } from './cutting/cutter.ts';
import { CachedAnswers } from './inbound/cached-answers.ts';
import { Collector } from './inbound/collector.ts';
import { Door } from './inbound/door.ts';
import { JobsHandlers } from './inbound/jobs.ts';
import type { Models } from './inbound/model-choice.ts';
import { RecognizeHandlers } from './inbound/recognize.ts';
import { Recognizer } from './inbound/recognizer.ts';
import { RegionsHandlers } from './inbound/regions.ts';
import { SubmitJobHandler } from './inbound/submit-job.ts';
import { JobIndex } from './jobs/job-index.ts';
import { createMetrics, type Metrics, observeGauges } from './metrics.ts';
import { ClaimLeftovers } from './outbound/claim-leftovers.ts';
import { ClaimPublisher } from './outbound/claim-publisher.ts';
import { ClaimQueues } from './outbound/claim-queues.ts';
import { DemandReporter } from './outbound/demand-reporter.ts';
import { EventPublisher } from './outbound/event-publisher.ts';
import { JobStore } from './outbound/job-store.ts';
import { LoadReporter } from './outbound/load-reporter.ts';
import { PeerProbe } from './outbound/peer-probe.ts';
import { SpanArchive } from './outbound/span-archive.ts';
import { TaskTracer } from './outbound/task-tracer.ts';
import { Calls } from './owner/calls.ts';
import { Effects, type Measurement } from './owner/effects.ts';
import { JobEndings } from './owner/job-endings.ts';
import { JobIntake } from './owner/job-intake.ts';
import { JobKeeper } from './owner/job-keeper.ts';
import { recoverJobs } from './owner/job-recovery.ts';
import { JobRetention } from './owner/job-retention.ts';
import { Owner } from './owner/owner.ts';
import { PlacementNews } from './owner/placement-news.ts';
import { WorkerStreams } from './owner/worker-streams.ts';
import { PayloadForms } from './payload/payload-forms.ts';
import { DemandMeter } from './placement/demand.ts';
import { LinkBandwidths } from './placement/link-bandwidth.ts';
import { Membership } from './placement/membership.ts';
import { RegionView } from './placement/region-view.ts';
import { NOTHING_ASKED, type PlacedWork, Residency } from './placement/residency.ts';
import { ServiceVariations } from './placement/service-variation.ts';
import { RollEvidence } from './rolls/roll-evidence.ts';
import { Spool } from './spool/spool.ts';
import { Dispatcher } from './tasks/dispatcher.ts';
import type { Task } from './tasks/task.ts';
import { TASK_LIMITS } from './tasks/transition.ts';
import { TiledJobs } from './tiling/tiled-jobs.ts';
import { TiledPictures } from './tiling/tiled-pictures.ts';

export type Context = Omit<ServiceContext<SchedulerConfig>, 'config'> & { readonly config: SchedulerConfig };

/** What the scheduler reaches the world through. */
export interface Doors {
  readonly bus: MessageBus;
  readonly replica: Models & Pick<Replica, 'vector' | 'hasSeen' | 'caughtUp' | 'missing'>;
  /** Of the region's sync service. */
  readonly rolls: Pick<RpcClient<typeof RollService>, 'reportEvidence'>;
  readonly topology: Topology;
  readonly server: RpcServer;
}

/** A later claim of the same queue has been announced for this long: the earlier one is lost. */
const ANNOUNCE_GRACE_MS = 2000;
/** A region that reports an empty queue this long after it stored our claim does not have it. */
const EMPTY_GRACE_MS = 2000;
/** Of the time for draining: what is left is for writing what the last calls and results have caused. */
const DRAIN_CALLS_SHARE = 0.8;

/** The parts between the doors. Tests bring doors of their own. */
export function assemble(context: Context, doors: Doors): { components: Component[]; door: Door; owner: Owner } {
  const parts = jobParts(context, doors);
  const { owner, effects, streams, calls, tracer, regions, index, intake, retention, spool, store, endings } = parts;
  const { config, clock, logger, telemetry } = context;
  const { bus, replica, topology, server } = doors;
  const { region, replica: name } = config;
  const vector = () => replica.vector();
  const hasSeen = (wanted: VersionVector) => replica.hasSeen(wanted);
  const dispatcher = () => owner.dispatcher;
  const { residency } = parts;
  const common = { region, residency, models: replica, clock, vector };
  const archive = new SpanArchive({
    ...{ bus, region, store: telemetry.spanStore },
    peers: peersOf(topology, region).map((peer) => peer.name),
    mayTell: (tenant, to) => residency.rulingOf(tenant, NOTHING_ASKED).territory.allowed.has(to),
  });
  const mayKeep = (tenant: string) => residency.rulingOf(tenant, NOTHING_ASKED).territory.allowed.has(region);
  const cached = new CachedAnswers({
    cache: parts.cache,
    metrics: parts.metrics,
    tracer,
    clock,
    mayKeep,
    used: (outcome) => parts.cacheMeter.used(outcome),
  });
  const recognizer = new Recognizer({
    ...{ ...common, owner: { region, replica: name }, calls, tracer, dispatcher, cached, tiled: parts.tiled },
  });
  const openTasks = () => owner.dispatcher.openTasks + parts.tiledJobs.openTasks;
  const corrected = parts.payload.corrected.bind(parts.payload);
  const rejected = (what: string) => parts.metrics.rejectedReports.add(1, { [attributeNames.reason]: what });
  const door = new Door({
    ...{ server, calls, streams, residency, listen: config.grpcListen },
    recognize: new RecognizeHandlers({ recognizer, calls, metrics: parts.metrics, vector, hasSeen }),
    submit: new SubmitJobHandler({ ...common, index, intake, retention, spool, openTasks, limits: config }),
    jobs: new JobsHandlers({ region, index, store, endings, started: () => owner.started }),
    regions: new RegionsHandlers({ region, regions, models: replica, archive, vector, dispatcher, clock }),
    collector: new Collector({
      region,
      replica: name,
      regions,
      streams,
      dispatcher,
      clock,
      logger,
      rejected,
      corrected,
    }),
    drainGraceMs: config.drainTimeoutMs * DRAIN_CALLS_SHARE,
    closing: () => effects.close(),
  });
  observe(context, parts);
  const wake = () => effects.wake();
  const own = regions.get(region);
  const probe = new PeerProbe({
    bus,
    region,
    regions,
    clock,
    pingIntervalMs: config.pingIntervalMs,
    heard: wake,
    rejected,
  });
  const reporters =
    own === undefined
      ? []
      : [
          new LoadReporter({
            leftovers: new ClaimLeftovers({
              ...{ bus, clock, logger, caughtUp: replica.caughtUp },
              models: () => catalogueOf(replica, region),
            }),
            ...{ bus, view: own, clock, logger, reported: wake },
            workers: () => streams.workersOf(region),
            workerLoad: () => streams.loadOf(region),
            claimsAhead: () => streams.claimsAheadOf(region),
            tell: (value) => streams.tell(region, { message: { case: 'load', value } }),
            busy: () => openTasks() > 0,
            modelDigests: () => replica.models().map(({ digest }) => digest),
          }),
        ];
  const membership = new Membership((key) => replica.get(key));
  const members = (names: Iterable<string>) => new Set([...names].filter((each) => !membership.isRemoved(each)));
  const demand = new DemandReporter({
    ...{ bus, region, regions, clock, meter: parts.meter, bandwidths: parts.bandwidths, variations: parts.variations },
    cutter: parts.cutter,
    manifestOf: (digest) => replica.modelByDigest(digest)?.manifest,
    cache: parts.cache && {
      cache: parts.cache,
      meter: parts.cacheMeter,
      bytesMax: config.cacheBytes,
      ttlMs: config.cacheTtlMs,
    },
    readyRegions: (digest) => members(digest === '' ? regions.keys() : replica.readyRegions(digest)),
  });
  const queues = new ClaimQueues({ bus, clock, logger, file: join(config.stateDirectory, 'broker-life') });
  return {
    components: [
      archive,
      queues,
      parts.cutter,
      owner,
      parts.tiledJobs,
      probe,
      ...reporters,
      demand,
      retention,
      parts.evidence,
      cached,
      door,
    ],
    door,
    owner,
  };
}

function catalogueOf(replica: Doors['replica'], region: string) {
  return replica.models().map(({ name, digest }) => ({ name, isReady: replica.readyRegions(digest).has(region) }));
}

/** Tasks and jobs, without the ways in. */
function jobParts(context: Context, { bus, replica, rolls, topology }: Doors) {
  const { config, clock, random, logger, telemetry } = context;
  const { region } = config;
  const retentionMs = config.jobRetentionMs;
  const name = { region, replica: config.replica };
  const basics = { bus, region, clock, random, logger };
  const regions = regionViews(context, topology);
  const metrics = createMetrics(telemetry.meter);
  const residency = residencyOf(region, topology, replica);
  const [meter, bandwidths] = [new DemandMeter((work) => allowedOf(residency, work)), new LinkBandwidths(regions)];
  const variations = new ServiceVariations();
  const cacheMeter = new CacheMeter();
  const cache = createCache(config, metrics, cacheMeter);
  const tracer = new TaskTracer(telemetry.tracer, config.traceSampleRatio);
  const index = new JobIndex(region, { jobsMax: config.jobsMax, tasksMax: config.jobTasksMax });
  const store = new JobStore({ ...basics, replica: config.replica });
  const events = new EventPublisher(basics);
  const news = new PlacementNews(events);
  const directory = config.spoolDirectory ?? join(config.stateDirectory, 'spool');
  const spool = new Spool({
    ...{ directory, budgetBytes: config.spoolBudgetBytes, orphanKeepMs: config.uploadKeepMs, clock, logger },
  });
  const dispatcher = () => owner.dispatcher;
  const calls = new Calls({ callsMax: config.callsMax, bytesMax: config.callsBytesMax });
  const cutter = new Cutter({ clock, logger });
  const tiled = new TiledPictures({ cutter, calls, tracer, clock, dispatcher });
  const streams = new WorkerStreams({
    ...{ clock, logger },
    started: (ref) => dispatcher().streamStarted(ref),
    ended: (ref) => dispatcher().streamEnded(ref, clock.nowMs()),
  });
  const cancelTasks = (jobId: string) => {
    dispatcher().cancelWork(jobId, clock.nowMs());
    tiledJobs.cancel(jobId);
  };
  const endings = new JobEndings({ ...basics, store, events, news, retentionMs, cancelTasks });
  const stored = (taskId: string) => dispatcher().stored(taskId, clock.nowMs());
  const jobs = new JobKeeper({ owner: name, index, store, spool, endings, news, clock, logger, stored });
  const tiledJobs: TiledJobs = new TiledJobs({ pictures: tiled, jobs, models: replica, clock, logger });
  const intake = new JobIntake({
    ...{ ...basics, index, store, spool, events, retentionMs },
    modelByDigest: (digest) => replica.modelByDigest(digest),
    add: (tasks) => dispatcher().add(tasks),
    addTiled: (tasks, wish) => tiledJobs.add(tasks, wish),
  });
  const claims = new ClaimPublisher({ bus, owner: name, logger, timeoutMs: config.claimTimeoutMs });
  const evidence = new RollEvidence({ ...name, models: replica, client: rolls, clock, logger });
  const modelByDigest = (digest: string) => replica.modelByDigest(digest);
  const payload = new PayloadForms({ region, regions, cutter, modelByDigest, clock, logger });
  // What was sent, and without the time in which it was made.
  const onTheWay: Measurement = {
    ended: ({ taskId, pictureBytes }, { fence, how, region: to, times }, nowMs) => {
      const { bytes, tookMs } = payload.sent(taskId, fence) ?? { bytes: pictureBytes, tookMs: 0 };
      const own = { ...times, transferMs: times.transferMs - tookMs };
      bandwidths.ended({ pictureBytes: bytes }, { how, region: to, times: own }, nowMs);
    },
  };
  const effects = new Effects({
    ...{ payload, clock, logger, metrics, claims, tracer, streams, calls, jobs, evidence, dispatcher },
    measurements: [meter, variations, onTheWay],
    canPlace: () => bus.connected && owner.started,
  });
  // What an earlier life had accepted is no demand of now.
  const accepted = (task: Task) => {
    if (owner.started) meter.accepted(task);
  };
  const owner: Owner = new Owner({
    ...{ bus, clock, logger, regions, store, spool, events, endings, news, streams },
    createDispatcher: (term) =>
      createDispatcher(config, term, { regions, effects, replica, accepted, residency, payload }),
    recover: () => recoverJobs({ store, index, spool, intake, endings, logger, retentionMs }),
    wake: () => effects.wake(),
    caughtUp: replica.caughtUp,
  });
  const retention = new JobRetention({
    ...{ index, store, spool, clock, logger, streamBudgetBytes: config.jobsBudgetBytes },
    openTasks: () => dispatcher().openTasks + tiledJobs.openTasks,
  });
  const ends = {
    endings,
    evidence,
    retention,
    meter,
    bandwidths,
    variations,
    cacheMeter,
    residency,
    cutter,
    tiled,
    tiledJobs,
    payload,
  };
  return { regions, metrics, cache, tracer, index, store, spool, calls, streams, intake, effects, owner, ...ends };
}

function allowedOf(residency: Residency, { tenant, asked }: PlacedWork): ReadonlySet<string> | undefined {
  const { allowed, isRestricted } = residency.rulingOf(tenant, asked).territory;
  return isRestricted ? allowed : undefined;
}

function residencyOf(region: string, { regions }: Topology, replica: Doors['replica']): Residency {
  let isCaughtUp = false;
  void replica.caughtUp.then(() => {
    isCaughtUp = true;
  });
  return new Residency({ region, regions, state: replica, isCaughtUp: () => isCaughtUp });
}

function createCache(config: SchedulerConfig, { cacheEvictions }: Metrics, meter: CacheMeter): ResultCache | undefined {
  const { cacheBytes: bytesMax, cacheEntriesMax: entriesMax, cacheTtlMs: ttlMs } = config;
  if (bytesMax === 0) return undefined;
  return new ResultCache({ bytesMax, entriesMax, ttlMs }, (why) => {
    cacheEvictions.add(1, { [attributeNames.reason]: why });
    if (why === 'room') meter.madeRoom();
  });
}

function createDispatcher(
  config: SchedulerConfig,
  term: number,
  parts: {
    readonly regions: ReadonlyMap<string, RegionView>;
    readonly effects: Effects;
    readonly replica: Doors['replica'];
    readonly accepted: (task: Task) => void;
    readonly residency: Residency;
    readonly payload: PayloadForms;
  },
): Dispatcher {
  const { regions, effects: ports, replica: models, accepted, residency, payload } = parts;
  const membership = new Membership((key) => models.get(key));
  return new Dispatcher({
    term,
    regions,
    ports,
    taskLimits: { ...TASK_LIMITS, failuresMax: config.taskFailuresMax, crashesMax: config.taskCrashesMax },
    attemptLimits: {
      announceTimeoutMs: config.announceTimeoutMs,
      attemptTimeoutMs: config.attemptTimeoutMs,
      emptyGraceMs: EMPTY_GRACE_MS,
    },
    windowPerRegion: config.placementWindowPerRegion,
    announceGraceMs: ANNOUNCE_GRACE_MS,
    isRemoved: (region) => membership.isRemoved(region),
    readyRegions: (digest) => models.readyRegions(digest),
    accepted,
    downscaling: (task) => payload.downscaling(task),
    residency,
  });
}

function regionViews({ config, clock }: Context, topology: Topology): ReadonlyMap<string, RegionView> {
  const limits = { suspectMs: config.regionSuspectMs, downMs: config.regionDownMs };
  const views = topology.regions.map(({ name, zone, capacity }): [string, RegionView] => {
    const link = name === config.region ? undefined : linkOf(topology, config.region, name);
    const { roundTripMs, bandwidthMbps } = link ?? { roundTripMs: 0, bandwidthMbps: Number.POSITIVE_INFINITY };
    return [name, new RegionView({ name, zone, capacity, roundTripMs, bandwidthMbps }, limits, clock.nowMs())];
  });
  return new Map(views);
}

const HEALTH_VALUES = { up: 2, suspect: 1, down: 0 } as const;

function observe({ telemetry }: Context, parts: ReturnType<typeof jobParts>): void {
  const { owner, regions, index, spool, streams, cache } = parts;
  const ofRegions = (value: (name: string, view: RegionView) => number) => () =>
    Object.fromEntries([...regions].map(([name, view]) => [name, value(name, view)]));
  const whenStarted = (value: () => number) => (owner.started ? value() : 0);
  observeGauges(telemetry.meter, {
    openTasks: () => whenStarted(() => owner.dispatcher.openTasks),
    ready: () =>
      Object.fromEntries(
        (['high', 'normal', 'low'] as const).map((name) => [
          name,
          whenStarted(() => owner.dispatcher.queue.size(name)),
        ]),
      ),
    held: ofRegions((name) => whenStarted(() => owner.dispatcher.heldBy(name))),
    health: ofRegions((_, view) => HEALTH_VALUES[view.health]),
    roundTripMs: ofRegions((_, view) => view.roundTripMs),
    priceMs: ofRegions((_, view) => view.load.price),
    ahead: ofRegions((_, view) => view.ahead),
    jobs: () => index.size,
    spoolBytes: () => spool.storedBytes,
    streams: () => streams.size,
    cacheBytes: () => cache?.bytes ?? 0,
    cacheEntries: () => cache?.size ?? 0,
  });
}
