import { type ChildProcess, fork } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { StateService } from '@meridian/contracts/state';
import { NatsAdmin } from '@meridian/messaging';
import { type Channel, createChannel, createClient, loadTls, type RpcClient } from '@meridian/rpc';
import { createLogger, systemClock } from '@meridian/runtime';
import { formatTopology } from '@meridian/topology';
import { compileCache } from './compile-cache.ts';
import type { RegionBrokers } from './region-brokers.ts';

const MAIN = resolve(import.meta.dirname, '..', '..', 'services', 'sync', 'src', 'main.ts');
const LOG_CHARS_MAX = 128 * 1024;
/** As a supervisor does. */
const RESTART_AFTER_MS = 300;

/** A sync service as a process of its own, on the broker of its region, with its real certificates and keys. */
export class SyncProcess {
  readonly region: string;
  readonly #brokers: RegionBrokers;
  readonly #directory: string;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #isSupervised: boolean;
  readonly #channels: Channel[] = [];
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #port = 0;
  log = '';

  constructor(
    brokers: RegionBrokers,
    options: {
      region: string;
      directory: string;
      environment: Readonly<Record<string, string>>;
      /** Started again whenever it ends other than by `stop`. */
      isSupervised?: boolean;
    },
  ) {
    this.#brokers = brokers;
    this.region = options.region;
    this.#directory = join(options.directory, 'sync', options.region);
    this.#environment = options.environment;
    this.#isSupervised = options.isSupervised === true;
  }

  /** Resolves when it serves; on the same port after the first time. */
  async start(): Promise<void> {
    const { credentials, clientUrl, view } = this.#brokers.of(this.region);
    await mkdir(this.#directory, { recursive: true });
    const topologyFile = join(this.#directory, 'regions.yaml');
    await writeFile(topologyFile, formatTopology(view));
    const child = fork(MAIN, {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: {
        ...compileCache,
        MERIDIAN_REGION: this.region,
        MERIDIAN_REPLICA: 'sync',
        MERIDIAN_TOPOLOGY_FILE: topologyFile,
        MERIDIAN_NATS_URL: clientUrl,
        MERIDIAN_NATS_SEED_FILE: credentials.seedFiles.sync,
        MERIDIAN_TLS_DIRECTORY: credentials.certificates.sync,
        MERIDIAN_STATE_DIRECTORY: join(this.#directory, 'state'),
        MERIDIAN_BLOB_DIRECTORY: join(this.#directory, 'blobs'),
        MERIDIAN_GRPC_LISTEN: `127.0.0.1:${this.#port}`,
        ...this.#environment,
      },
    });
    this.#child = child;
    this.#ended = new Promise((resolveEnd) => child.once('exit', () => resolveEnd()));
    if (this.#isSupervised) child.once('exit', () => this.#startAgain(child));
    child.stderr?.on('data', (chunk: Buffer) => {
      this.log = (this.log + chunk.toString()).slice(-LOG_CHARS_MAX);
    });
    this.#port = await new Promise<number>((ready, failed) => {
      child.once('message', (message) => ready((message as { grpcPort: number }).grpcPort));
      child.once('exit', () => failed(new Error(`sync of ${this.region} ended before it was ready:\n${this.log}`)));
    });
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await this.#ended;
  }

  /** A start that fails ends its process, too, and comes back here. */
  #startAgain(ended: ChildProcess): void {
    setTimeout(() => {
      if (this.#child === ended) this.start().catch(() => undefined);
    }, RESTART_AFTER_MS);
  }

  /** Of the process that runs. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Resolves when the process that runs has ended, by whatever. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  async restart(signal: NodeJS.Signals): Promise<void> {
    await this.stop(signal);
    await this.start();
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** @param identity a service of this region, `client` or `operator`, or a service of another region */
  client(
    identity: 'worker' | 'scheduler' | 'client' | 'operator',
    region = this.region,
  ): RpcClient<typeof StateService> {
    const { installation } = this.#brokers;
    const folder =
      identity === 'client' || identity === 'operator'
        ? installation[identity]
        : (installation.regions[region]?.certificates[identity] ?? '');
    const channel = createChannel({
      address: this.address,
      tls: loadTls(folder),
      windowBytes: 2 ** 20,
      serverRoles: ['sync'],
    });
    this.#channels.push(channel);
    return createClient(StateService, channel);
  }

  closeChannels(): void {
    for (const channel of this.#channels) channel.close();
  }
}

/** Creates the streams of a region, as its first start does. */
export async function createStreams(brokers: RegionBrokers, region: string): Promise<void> {
  const admin = await administrator(brokers, region);
  await admin.createStreams(region);
  await admin.close();
}

function administrator(brokers: RegionBrokers, region: string): Promise<NatsAdmin> {
  const { clientUrl, credentials } = brokers.of(region);
  return NatsAdmin.connect({
    ...{ url: clientUrl, region, role: 'initializer', name: `${region}-initializer` },
    ...{ seedFile: credentials.seedFiles.initializer, tls: loadTls(credentials.certificates.initializer) },
    logger: createLogger({ name: 'test', region, level: 'silent' }),
    clock: systemClock,
  });
}
