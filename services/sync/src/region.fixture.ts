import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HybridLogicalClock, VersionVector } from '@meridian/causality';
import type { Failure } from '@meridian/failure';
import { Emitter, InMemoryBroker, InMemoryBus } from '@meridian/messaging';
import { type Manifest, modelDigest, parseManifest } from '@meridian/models';
import { createLogger, parseConfig, startTelemetry, systemClock, systemRandom } from '@meridian/runtime';
import { stringify } from 'yaml';
import { type Assembly, assemble } from './compose.ts';
import { syncConfig } from './config.ts';

/** Sync services of several regions on brokers in memory, with real folders. */
export const REGIONS = ['beijing', 'shanghai', 'guangzhou'] as const;

export interface RunningRegion extends Assembly {
  readonly region: string;
  /** What would have ended the process. */
  readonly failures: readonly Failure[];
  stop(): Promise<void>;
}

export class Regions {
  readonly broker = new InMemoryBroker({ clock: systemClock, regions: REGIONS });
  readonly directory: string;
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
    const logger = createLogger({ name: 'sync', region, level: 'silent' });
    const telemetry = startTelemetry({ service: 'sync', region, replica: '1', sampleRatio: 0 });
    let knowledge = () => VersionVector.EMPTY;
    const emitter = new Emitter({
      ...{ region, service: 'sync', replica: '1', incarnation: `life${++this.#lives}`, clock: systemClock },
      hlc: new HybridLogicalClock(() => systemClock.nowMs(), { driftMaxMs: 1_000 }),
      knowledge: () => knowledge(),
    });
    const bus = new InMemoryBus({
      ...{ broker: this.broker, emitter, role: 'sync', logger, meter: telemetry.meter, clock: systemClock },
    });
    const context = { config, logger, clock: systemClock, random: systemRandom, telemetry };
    const members = REGIONS.filter((other) => other !== region);
    const failures: Failure[] = [];
    const assembly = assemble(context, {
      bus,
      members,
      regions: REGIONS,
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
export async function until(condition: () => boolean | string, timeoutMs = 10_000): Promise<void> {
  const untilMs = systemClock.monotonicMs() + timeoutMs;
  for (let state = condition(); state !== true; state = condition()) {
    if (systemClock.monotonicMs() > untilMs) throw new Error(`after ${timeoutMs} ms: ${state || 'not so'}`);
    await systemClock.sleep(5);
  }
}
