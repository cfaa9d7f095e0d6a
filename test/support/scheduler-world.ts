import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { actorId, HybridLogicalClock, VersionVector } from '@meridian/causality';
import { type Authority, createAuthority, createIdentity } from '@meridian/certificates';
import { RecognitionService } from '@meridian/contracts/recognition';
import { RegionService } from '@meridian/contracts/region';
import { type ReportEvidenceRequestSchema, ReportEvidenceResponseSchema } from '@meridian/contracts/roll';
import { Emitter, InMemoryBroker, InMemoryBus } from '@meridian/messaging';
import { type AliasEntry, type Entry, encodeMember, memberKey, targetIn, tenantKey } from '@meridian/replica';
import { encodeTenant, parseRule } from '@meridian/residency';
import { type Channel, createChannel, createClient } from '@meridian/rpc';
import { RpcServer } from '@meridian/rpc/server';
import { createLogger, Lifecycle, parseConfig, systemClock, systemRandom, type Telemetry } from '@meridian/runtime';
import { startTelemetry } from '@meridian/runtime/service';
import { assemble, schedulerConfig } from '@meridian/scheduler';
import type { Topology } from '@meridian/topology';
import { ScriptedWorker } from './scripted-worker.ts';
import type { WatchedState } from './watched-state.ts';

export const REGIONS = ['beijing', 'shanghai'] as const;
export type RegionName = (typeof REGIONS)[number];
export const MODEL = { name: 'centernet-320', digest: 'sha256:model' };
export const NEXT = { name: 'centernet-512', digest: 'sha256:next' };
/** What the first model's manifest says of its input: it can be used with tiling, the other one cannot. */
const DETECTOR = {
  decoder: { kind: 'rows' },
  parts: { model: { input: { width: 64, height: 64, fit: 'letterbox' } } },
};
const ACTOR = actorId('beijing', 0x1234n);
export const VECTOR = VersionVector.of([[ACTOR, 7]]);
/** The record of tenant `known`, without a rule; and others that tests write. */
export function tenantEntry(name: string, rule = '', counter = 5): Entry {
  const value = encodeTenant({ name, residency: parseRule(rule) });
  const version = { dot: { actor: ACTOR, counter }, hlc: { wallMs: counter, logical: 0 }, value, deleted: false };
  return { key: tenantKey(name), versions: [version], context: VersionVector.of([[ACTOR, counter]]) };
}
const WINDOW_BYTES = 1024 * 1024;
const logger = createLogger({ name: 'test', region: 'beijing', level: process.env.TEST_LOG ?? 'silent' });

let incarnations = 0;

/** Two regions in one process: brokers in memory, real schedulers with real gRPC doors, workers that follow a script. */
export class SchedulerWorld {
  readonly broker: InMemoryBroker;
  readonly directory: string;
  readonly authority: Authority;
  readonly schedulers = new Map<RegionName, RunningScheduler>();
  /** What the schedulers' replicas know of aliases; the test changes it. */
  readonly aliases = new Map<string, AliasEntry>();
  /** Regions that an operator has removed, as the replicas know it; the test changes it. */
  readonly removed = new Set<RegionName>();
  /** Records of tenants by key, as the replicas know them; the test changes them. */
  readonly tenants = new Map([[tenantKey('known'), tenantEntry('known')]]);
  /** Followed by schedulers that are started from now on, in the place of a fixed state. */
  readonly states = new Map<RegionName, WatchedState>();
  /** What schedulers told of their tasks with models of rolls, the last one last. */
  readonly reports: MessageInitShape<typeof ReportEvidenceRequestSchema>[] = [];
  /** Of the link between the regions, for schedulers that are started from now on. */
  bandwidthMbps = 1000;
  /** What the first model's manifest says of its input, for the same. */
  input = DETECTOR.parts.model.input;
  readonly #closers: (() => Promise<unknown> | unknown)[] = [];

  private constructor(directory: string, authority: Authority) {
    this.directory = directory;
    this.authority = authority;
    this.broker = new InMemoryBroker({
      clock: systemClock,
      regions: REGIONS,
      delayMs: (from, to) => (from === to ? 0 : 10),
    });
  }

  static async open(): Promise<SchedulerWorld> {
    const directory = await mkdtemp(join(tmpdir(), 'meridian-scheduler-'));
    return new SchedulerWorld(directory, await createAuthority());
  }

  bus(region: string, service: string): InMemoryBus {
    const emitter = new Emitter({
      region,
      service,
      replica: '1',
      incarnation: `i${++incarnations}`,
      clock: systemClock,
      hlc: new HybridLogicalClock(() => systemClock.nowMs(), { driftMaxMs: 1000 }),
      knowledge: () => VECTOR,
    });
    const telemetry = startTelemetry({ service, region, replica: '1', sampleRatio: 0 });
    const { meter } = telemetry;
    return new InMemoryBus({ broker: this.broker, emitter, role: service, logger, meter, clock: systemClock });
  }

  /** Starts the scheduler of a region (again): its spool and its streams are those of the life before. */
  async start(region: RegionName, environment: Readonly<Record<string, string>> = {}): Promise<RunningScheduler> {
    const scheduler = await RunningScheduler.start(this, region, environment);
    this.schedulers.set(region, scheduler);
    return scheduler;
  }

  async worker(
    region: RegionName,
    name: string,
    to: readonly Pick<RunningScheduler, 'region' | 'port'>[],
    model = MODEL.name,
  ): Promise<ScriptedWorker> {
    const tls = await createIdentity(this.authority, { role: 'worker', region, name: 'worker' });
    const bus = this.bus(region, 'worker');
    const worker = new ScriptedWorker({ bus, region, name, tls, windowBytes: WINDOW_BYTES, model });
    for (const scheduler of to) worker.attach(scheduler.region, `127.0.0.1:${scheduler.port}`);
    this.#closers.push(() => worker.kill());
    await worker.ready();
    return worker;
  }

  async channel(scheduler: RunningScheduler, role = 'client'): Promise<Channel> {
    const tls = await createIdentity(this.authority, { role, region: 'beijing', name: 'one' });
    const channel = createChannel({ address: `127.0.0.1:${scheduler.port}`, tls, windowBytes: WINDOW_BYTES });
    this.#closers.push(() => channel.close());
    return channel;
  }

  async recognition(scheduler: RunningScheduler) {
    return createClient(RecognitionService, await this.channel(scheduler));
  }

  async regions(scheduler: RunningScheduler) {
    return createClient(RegionService, await this.channel(scheduler));
  }

  async close(): Promise<void> {
    for (const close of this.#closers.reverse()) await close();
    for (const scheduler of this.schedulers.values()) await scheduler.kill();
    await rm(this.directory, { recursive: true, force: true });
  }
}

export class RunningScheduler {
  readonly region: RegionName;
  readonly telemetry: Telemetry;
  readonly #lifecycle: Lifecycle;
  readonly #components: { stop(): Promise<void> }[];
  readonly #bus: InMemoryBus;
  readonly #door: { readonly port: number };
  #ended = false;

  private constructor(
    region: RegionName,
    parts: { telemetry: Telemetry; bus: InMemoryBus } & ReturnType<typeof assemble>,
  ) {
    this.region = region;
    this.telemetry = parts.telemetry;
    this.#bus = parts.bus;
    this.#door = parts.door;
    this.#components = parts.components;
    this.#lifecycle = new Lifecycle(parts.components, {
      drainTimeoutMs: 5000,
      stopTimeoutMs: 5000,
      logger,
      clock: systemClock,
    });
  }

  static async start(
    world: SchedulerWorld,
    region: RegionName,
    environment: Readonly<Record<string, string>>,
  ): Promise<RunningScheduler> {
    const config = parseConfig(schedulerConfig, {
      MERIDIAN_REGION: region,
      MERIDIAN_TOPOLOGY_FILE: 'unused',
      MERIDIAN_NATS_URL: 'nats://unused',
      MERIDIAN_NATS_SEED_FILE: 'unused',
      MERIDIAN_TLS_DIRECTORY: 'unused',
      MERIDIAN_SYNC_ADDRESS: 'unused:1',
      MERIDIAN_GRPC_LISTEN: '127.0.0.1:0',
      MERIDIAN_STATE_DIRECTORY: join(world.directory, region),
      MERIDIAN_PING_INTERVAL_MS: '100',
      ...environment,
    });
    const telemetry = startTelemetry({ service: 'scheduler', region, replica: '1', sampleRatio: 1 });
    const bus = world.bus(region, 'scheduler');
    const tls = await createIdentity(world.authority, { role: 'scheduler', region, name: 'one' });
    const { tracer } = telemetry;
    const server = new RpcServer({ tls, windowBytes: WINDOW_BYTES, logger, clock: systemClock, tracer });
    const context = { config, logger, clock: systemClock, random: systemRandom, telemetry };
    const rolls = {
      reportEvidence: async (report: (typeof world.reports)[number]) => {
        world.reports.push(report);
        return create(ReportEvidenceResponseSchema);
      },
    };
    const followed = world.states.get(region)?.replica;
    const replica = followed ?? registry(world);
    const parts = assemble(context, { bus, replica, rolls, topology: topology(world.bandwidthMbps), server });
    if (followed !== undefined) parts.components.unshift(followed);
    const scheduler = new RunningScheduler(region, { telemetry, bus, ...parts });
    await scheduler.#lifecycle.start();
    return scheduler;
  }

  get port(): number {
    return this.#door.port;
  }

  /** SIGTERM. */
  async shutdown(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#lifecycle.shutdown();
    await this.#bus.close();
  }

  /** As close to SIGKILL as one process gets: nothing is drained, nothing is sent any more. */
  async kill(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#bus.close();
    await Promise.all(this.#components.map((component) => component.stop().catch(() => undefined)));
  }
}

function removalOf(region: string): Entry {
  const value = encodeMember({ isRemoved: true, generation: 1 });
  const version = { dot: { actor: ACTOR, counter: 6 }, hlc: { wallMs: 2, logical: 0 }, value, deleted: false };
  return { key: memberKey(region), versions: [version], context: VersionVector.of([[ACTOR, 6]]) };
}

function registry({
  aliases,
  removed,
  tenants,
  input,
}: Pick<SchedulerWorld, 'aliases' | 'removed' | 'tenants' | 'input'>) {
  const removals = new Map(REGIONS.map((region) => [memberKey(region), removalOf(region)]));
  const isRemoved = (key: string) => [...removed].some((region) => memberKey(region) === key);
  const models = [MODEL, NEXT].map((model, i) => ({
    ...model,
    manifest: { expectedServiceMs: 30, ...(model === MODEL && { ...DETECTOR, parts: { model: { input } } }) },
    dot: { actor: ACTOR, counter: 7 - i },
  }));
  const ready: ReadonlySet<string> = new Set(REGIONS);
  const byDigest = (digest: string) => models.find((model) => model.digest === digest);
  return {
    vector: () => VECTOR,
    hasSeen: (vector: VersionVector) => VECTOR.dominates(vector),
    get: (key: string) => (isRemoved(key) ? removals.get(key) : tenants.get(key)),
    missing: () => [],
    model: (name: string) => models.find((model) => model.name === (name || MODEL.name)),
    models: () => models,
    aliases: () => [...aliases.values()],
    aliasTarget: (alias: string, region: string) => {
      const entry = aliases.get(alias);
      return entry && targetIn(entry.roll, entry.phases, region);
    },
    modelByDigest: byDigest,
    readyRegions: (digest: string) => (byDigest(digest) === undefined ? new Set<string>() : ready),
    caughtUp: Promise.resolve(),
  };
}

function topology(bandwidthMbps: number): Topology {
  return {
    regions: REGIONS.map((name) => ({
      name,
      latitude: 0,
      longitude: 0,
      zone: `zone-${name}`,
      capacity: 1,
      leafAddress: 'unused:1',
      grpcAddress: `door-${name}:1`,
    })),
    links: [{ between: ['beijing', 'shanghai'], roundTripMs: 20, bandwidthMbps }],
  };
}

/** Bytes that pass for a JPEG at the door; no two numbers give the same. */
export function aPicture(number: number, sizeBytes = 2000): Uint8Array {
  const bytes = Buffer.alloc(sizeBytes, number % 251);
  bytes.set([0xff, 0xd8, 0xff, 0xe0]);
  bytes.writeUInt32BE(number, 4);
  return bytes;
}

export function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

export async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 10_000): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + timeoutMs;
  while (!(await condition())) {
    if (systemClock.monotonicMs() > deadlineMs) throw new Error(`not in ${timeoutMs} ms: ${condition}`);
    await systemClock.sleep(5);
  }
}
