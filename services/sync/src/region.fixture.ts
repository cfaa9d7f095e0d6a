import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { HybridLogicalClock, VersionVector } from '@meridian/causality';
import { subject } from '@meridian/contracts';
import { type BlobAsk, BlobAskSchema, type BlobChunk } from '@meridian/contracts/blob';
import type { Failure } from '@meridian/failure';
import { Emitter, InMemoryBroker, InMemoryBus } from '@meridian/messaging';
import { canonicalJson, type Manifest, modelDigest, parseManifest } from '@meridian/models';
import { createLogger, parseConfig, systemClock, systemRandom } from '@meridian/runtime';
import { startTelemetry } from '@meridian/runtime/service';
import { stringify } from 'yaml';
import { receiveModel, type UploadPart } from './blobs/model-upload.ts';
import { modelValue } from './catalogue/model-record.ts';
import { type Assembly, assemble } from './compose.ts';
import { syncConfig } from './config.ts';
import type { LinkFacts } from './links/link-intervals.ts';

/** Sync services of several regions on brokers in memory, with real folders. */
export const REGIONS = ['beijing', 'shanghai', 'guangzhou'] as const;

const WIDE: LinkFacts = { roundTripMs: 1, bandwidthMbps: 1_000 };

export interface RunningRegion extends Assembly {
  readonly region: string;
  /** What would have ended the process. */
  readonly failures: readonly Failure[];
  stop(): Promise<void>;
}

export interface AddedModel {
  /** Of the weights. */
  readonly digest: string;
  readonly modelDigest: string;
}

export class Regions {
  readonly broker = new InMemoryBroker({ clock: systemClock, regions: REGIONS });
  readonly directory: string;
  /** Of regions that start from now on; by both names, as `beijing shanghai`. Others are wide. */
  readonly links = new Map<string, LinkFacts>();
  readonly #running = new Set<RunningRegion>();
  #lives = 0;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async prepare(): Promise<Regions> {
    return new Regions(await mkdtemp(join(tmpdir(), 'meridian-sync-')));
  }

  get catalogueDirectory(): string {
    return join(this.directory, 'models');
  }

  async start(region: string, environment: Readonly<Record<string, string>> = {}): Promise<RunningRegion> {
    const own = join(this.directory, region);
    const config = parseConfig(syncConfig, {
      MERIDIAN_REGION: region,
      MERIDIAN_TOPOLOGY_FILE: 'unused',
      MERIDIAN_NATS_URL: 'nats://unused',
      MERIDIAN_NATS_SEED_FILE: 'unused',
      MERIDIAN_TLS_DIRECTORY: 'unused',
      MERIDIAN_GRPC_LISTEN: '127.0.0.1:0',
      MERIDIAN_STATE_DIRECTORY: join(own, 'state'),
      MERIDIAN_BLOB_DIRECTORY: join(own, 'blobs'),
      MERIDIAN_CATALOGUE_DIRECTORY: this.catalogueDirectory,
      MERIDIAN_PEER_WAIT_MS: '2000',
      MERIDIAN_FETCH_INTERVAL_MS: '1000',
      ...environment,
    });
    const logger = loggerOf(region);
    const telemetry = telemetryOf(region);
    let knowledge = () => VersionVector.EMPTY;
    const bus = this.#bus(region, () => knowledge());
    const context = { config, logger, clock: systemClock, random: systemRandom, telemetry };
    const members = REGIONS.filter((other) => other !== region);
    const failures: Failure[] = [];
    const assembly = assemble(context, {
      bus,
      members,
      linkTo: (peer) => this.links.get([region, peer].sort().join(' ')) ?? WIDE,
      regions: REGIONS.map((name) => ({ name, zone: `zone-${name}` })),
      onFatal: (failure) => void failures.push(failure),
    });
    knowledge = () => assembly.replicator.vector;
    for (const component of assembly.components) await component.start();
    const stop = async () => {
      this.#running.delete(running);
      for (const component of assembly.components.toReversed()) await component.stop();
      await bus.close();
      await telemetry.shutdown();
    };
    const running: RunningRegion = { ...assembly, region, failures, stop };
    this.#running.add(running);
    return running;
  }

  /** Takes a model in as an operator's upload does. */
  async add({ blobs, replicator }: RunningRegion, name: string, weights: Uint8Array): Promise<AddedModel> {
    const digest = `sha256:${sha256(weights)}`;
    async function* upload(): AsyncGenerator<UploadPart> {
      yield { kind: 'manifest', text: canonicalJson(manifestOf(name, weights)) };
      yield { kind: 'start', digest };
      for (let at = 0; at < weights.length; at += 2 ** 20)
        yield { kind: 'chunk', bytes: weights.subarray(at, at + 2 ** 20) };
    }
    const manifest = await receiveModel(upload(), blobs);
    await replicator.write({ ...modelValue(manifest), when: 'differs' }, { timeoutMs: 5_000 });
    return { digest, modelDigest: modelDigest(manifest) };
  }

  /** Chunks that a region is asked for from now on; `onAsk` runs before it answers. */
  asksTo(region: string, onAsk: (asks: readonly BlobAsk[]) => void = () => undefined): readonly BlobAsk[] {
    const asks: BlobAsk[] = [];
    const deliver = ({ data }: { readonly data: Uint8Array }) => {
      asks.push(fromBinary(BlobAskSchema, data));
      onAsk(asks);
    };
    this.broker.listen({ region, pattern: subject('blobChunk', { target: region }), queue: undefined, deliver });
    return asks;
  }

  /** One question for a chunk, as the given region asks it. */
  async ask(region: string, target: string, ask: Omit<BlobAsk, '$typeName'>): Promise<BlobChunk> {
    const bus = this.#bus(region, () => VersionVector.EMPTY);
    const event = { type: 'meridian.blob.ask.v1', data: ask } as const;
    const options = { timeoutMs: 5_000 };
    try {
      return (await bus.request(subject('blobChunk', { target }), event, 'meridian.blob.chunk.v1', options)).data;
    } finally {
      await bus.close();
    }
  }

  #bus(region: string, knowledge: () => VersionVector): InMemoryBus {
    const emitter = new Emitter({
      ...{ region, service: 'sync', replica: '1', incarnation: `life${++this.#lives}`, clock: systemClock },
      hlc: new HybridLogicalClock(() => systemClock.nowMs(), { driftMaxMs: 1_000 }),
      knowledge,
    });
    const { meter } = telemetryOf(region);
    const { broker } = this;
    return new InMemoryBus({ broker, emitter, role: 'sync', logger: loggerOf(region), meter, clock: systemClock });
  }

  /** Messages that the region's state log has ever taken. */
  logLength(region: string): number {
    return this.broker.stream(region, 'STATE').state.lastSequence;
  }

  cutOff(region: string): void {
    for (const other of REGIONS) if (other !== region) this.broker.setReachable(region, other, false);
  }

  heal(): void {
    for (const a of REGIONS) for (const b of REGIONS) if (a !== b) this.broker.setReachable(a, b, true);
  }

  /** Adds or replaces a model of the installed catalogue. */
  async install(name: string, description = ''): Promise<Manifest> {
    const weights = Buffer.from(`weights of ${name}`);
    const manifest = manifestOf(name, weights, description);
    await mkdir(join(this.catalogueDirectory, 'blobs'), { recursive: true });
    await mkdir(join(this.catalogueDirectory, name), { recursive: true });
    await writeFile(join(this.catalogueDirectory, 'blobs', sha256(weights)), weights);
    await writeFile(join(this.catalogueDirectory, name, 'manifest.yaml'), stringify(manifest));
    await writeFile(join(this.catalogueDirectory, name, 'digest'), modelDigest(manifest));
    return manifest;
  }

  async stop(): Promise<void> {
    for (const running of [...this.#running]) await running.stop();
    this.broker.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}

const loggerOf = (region: string) => createLogger({ name: 'sync', region, level: 'silent' });
const telemetryOf = (region: string) => startTelemetry({ service: 'sync', region, replica: '1', sampleRatio: 0 });

export function manifestOf(name: string, weights: Uint8Array, description = ''): Manifest {
  const input = { name: 'x', width: 224, height: 224, fit: 'stretch', layout: 'NCHW', type: 'float32' };
  return parseManifest({
    ...{ name, description, licence: 'MIT', source: 'https://example.org', task: 'classification' },
    parts: { model: { file: 'model.onnx', digest: `sha256:${sha256(weights)}`, bytes: weights.length, input } },
    decoder: { kind: 'classifier', output: 'y', activation: 'none' },
    labels: ['cat'],
  });
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Waits for a condition; its text says what was missing in the end. */
export async function until(
  condition: () => boolean | string | Promise<boolean | string>,
  timeoutMs = 10_000,
): Promise<void> {
  const untilMs = systemClock.monotonicMs() + timeoutMs;
  for (let state = await condition(); state !== true; state = await condition()) {
    if (systemClock.monotonicMs() > untilMs) throw new Error(`after ${timeoutMs} ms: ${state || 'not so'}`);
    await systemClock.sleep(5);
  }
}
