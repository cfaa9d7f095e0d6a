import { type ChildProcess, fork } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { PlanService } from '@meridian/contracts/plan';
import { freePort } from '@meridian/local';
import { type Channel, createChannel, createClient, loadTls, type RpcClient } from '@meridian/rpc';
import { formatTopology } from '@meridian/topology';
import { compileCache } from './compile-cache.ts';
import type { RegionBrokers } from './region-brokers.ts';

const MAIN = resolve(import.meta.dirname, '..', '..', 'services', 'optimizer', 'src', 'main.ts');
const LOG_CHARS_MAX = 128 * 1024;

/** An optimizer as a process of its own, on the broker of its region, with its real certificates and keys. */
export class OptimizerProcess {
  readonly #brokers: RegionBrokers;
  readonly #region: string;
  readonly #metricsPort: number;
  readonly #child: ChildProcess;
  readonly #channels: Channel[] = [];
  #port = 0;
  log = '';

  private constructor(brokers: RegionBrokers, region: string, metricsPort: number, child: ChildProcess) {
    this.#brokers = brokers;
    this.#region = region;
    this.#metricsPort = metricsPort;
    this.#child = child;
    child.stderr?.on('data', (chunk: Buffer) => {
      this.log = (this.log + chunk.toString()).slice(-LOG_CHARS_MAX);
    });
  }

  /** Resolves when it serves. @param directory for its files; the caller removes it */
  static async start(brokers: RegionBrokers, region: string, directory: string): Promise<OptimizerProcess> {
    const { credentials, clientUrl, view } = brokers.of(region);
    const own = join(directory, 'optimizer', region);
    await mkdir(own, { recursive: true });
    const topologyFile = join(own, 'regions.yaml');
    await writeFile(topologyFile, formatTopology(view));
    const metricsPort = await freePort();
    const child = fork(MAIN, {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: {
        ...compileCache,
        MERIDIAN_REGION: region,
        MERIDIAN_REPLICA: 'optimizer',
        MERIDIAN_TOPOLOGY_FILE: topologyFile,
        MERIDIAN_NATS_URL: clientUrl,
        MERIDIAN_NATS_SEED_FILE: credentials.seedFiles.optimizer,
        MERIDIAN_TLS_DIRECTORY: credentials.certificates.optimizer,
        MERIDIAN_STATE_DIRECTORY: join(own, 'state'),
        MERIDIAN_METRICS_LISTEN: `127.0.0.1:${metricsPort}`,
        MERIDIAN_GRPC_LISTEN: '127.0.0.1:0',
      },
    });
    const started = new OptimizerProcess(brokers, region, metricsPort, child);
    started.#port = await new Promise<number>((ready, failed) => {
      child.once('message', (message) => ready((message as { grpcPort: number }).grpcPort));
      child.once('exit', () => failed(new Error(`optimizer of ${region} ended before it was ready:\n${started.log}`)));
    });
    return started;
  }

  async stop(): Promise<void> {
    for (const channel of this.#channels) channel.close();
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolveEnd) => this.#child.once('exit', resolveEnd));
    this.#child.kill('SIGTERM');
    await ended;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  client(identity: 'client' | 'operator' | 'worker' | 'scheduler'): RpcClient<typeof PlanService> {
    const { installation } = this.#brokers;
    const folder =
      identity === 'client' || identity === 'operator'
        ? installation[identity]
        : (installation.regions[this.#region]?.certificates[identity] ?? '');
    const tls = loadTls(folder);
    const channel = createChannel({ address: this.address, tls, windowBytes: 2 ** 20, serverRoles: ['optimizer'] });
    this.#channels.push(channel);
    return createClient(PlanService, channel);
  }

  /** Sum of a counter over its labels that match all of these. */
  async counted(name: string, ...labels: readonly string[]): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${this.#metricsPort}/metrics`)).text();
    const lines = text
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) && labels.every((label) => line.includes(label)));
    const values = lines.map((line) => line.slice(line.lastIndexOf('}') + 1).trim());
    return values.reduce((sum, value) => sum + Number(value.split(' ')[0]), 0);
  }
}
