import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import type { Installation, RegionCredentials } from '@meridian/certificates';
import { BROKER_PORTS, BROKERS, brokerConfig, ensureSecrets, readSources, secretManifests } from '@meridian/kustomize';
import { freePort } from '@meridian/local';
import { systemClock } from '@meridian/runtime';
import { compileCache } from './compile-cache.ts';
import { natsServerBinary } from './nats-server.ts';
import { modelDirectory } from './photographs.ts';

const repository = resolve(import.meta.dirname, '..', '..');
/** What `infra/docker/assemble.sh` has made, to run the image's programs; default: the sources. */
const assembled = process.env.MERIDIAN_ASSEMBLED;
const LOG_CHARS_MAX = 64 * 1024;

export interface DeployedBroker {
  readonly name: string;
  readonly ports: Readonly<Record<keyof typeof BROKER_PORTS, number>>;
  readonly file: string;
  readonly environment: Readonly<Record<string, string>>;
  process?: ChildProcess;
}

export interface DeployedProgram {
  readonly process: ChildProcess;
  readonly grpc: string;
  readonly health: string;
  readonly log: () => string;
}

/**
 * One region as its manifests have it: three brokers with the generated configuration and the secrets of `make secrets`, the
 * initializer and the services with their generated environment. Only addresses and folders are others, and what the floor's
 * nats-server refuses is left out. No other region is there.
 */
export class DeployedRegion {
  readonly directory: string;
  readonly region: string;
  readonly installation: Installation;
  readonly brokers: readonly DeployedBroker[];
  readonly programs = new Map<string, DeployedProgram>();

  private constructor(directory: string, region: string, installation: Installation, brokers: DeployedBroker[]) {
    this.directory = directory;
    this.region = region;
    this.installation = installation;
    this.brokers = brokers;
  }

  /** Its brokers run and have their streams. */
  static async start(directory: string, region: string): Promise<DeployedRegion> {
    const sources = await readSources(repository);
    const text = brokerConfig(sources.topology, region).replace(/^.*sync_interval.*\n/m, '');
    const installation = await ensureSecrets(join(directory, 'keys'), { ...sources, clockMs: Date.now() });
    const secrets = await secretManifests(installation, sources.topology, region, sources.base);
    const variables = secrets.find(({ metadata }) => metadata.name === 'nats-secrets')?.stringData as object;
    const tls = installation.regions[region]?.certificates.broker ?? '';
    const prepared = Array.from({ length: BROKERS }, (_, i) => prepare({ directory, text, tls, variables }, region, i));
    const brokers = await Promise.all(prepared);
    const routes = brokers.map(({ ports, environment }, i): [string, string] => [
      `ROUTE_${i}`,
      String(environment[`ROUTE_${i}`]).replace(/@[^"]*/, `@127.0.0.1:${ports.cluster}`),
    ]);
    for (const broker of brokers) Object.assign(broker.environment, Object.fromEntries(routes));
    const started = new DeployedRegion(directory, region, installation, brokers);
    await Promise.all(brokers.map((broker) => started.launch(broker)));
    await started.#initialize();
    return started;
  }

  get credentials(): RegionCredentials {
    return this.installation.regions[this.region] as RegionCredentials;
  }

  get urls(): string[] {
    return this.brokers.map(({ ports }) => `tls://127.0.0.1:${ports.client}`);
  }

  async launch(broker: DeployedBroker): Promise<void> {
    broker.process = spawn(natsServerBinary(), ['-c', broker.file], { env: broker.environment, stdio: 'ignore' });
    // The floor knows `js-enabled`; the deployment's version has the names that its probes use.
    await until(() => isHealthy(`127.0.0.1:${broker.ports.monitor}`, '/healthz?js-enabled=true'));
  }

  async kill(broker: DeployedBroker): Promise<void> {
    await ended(broker.process, 'SIGKILL');
  }

  /** Starts a service with its overlay's environment. It need not be ready when this returns. */
  async run(name: string): Promise<DeployedProgram> {
    const [grpc, health, metrics] = [await freePort(), await freePort(), await freePort()].map(
      (port) => `127.0.0.1:${port}`,
    );
    const doors = { MERIDIAN_GRPC_LISTEN: grpc, MERIDIAN_HEALTH_LISTEN: health, MERIDIAN_METRICS_LISTEN: metrics };
    const environment = await this.#environmentOf(name, doors as Record<string, string>);
    const child = this.#spawn(`services/${name}`, { ...environment, MERIDIAN_REPLICA: `${name}-0` });
    let log = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-LOG_CHARS_MAX);
    });
    const program = { process: child, grpc: String(grpc), health: String(health), log: () => log };
    this.programs.set(name, program);
    return program;
  }

  /** @returns exit codes of the services, by name, after SIGTERM. */
  async stopServices(): Promise<Record<string, number | null>> {
    const codes = await Promise.all(
      Array.from(this.programs, async ([name, program]) => [name, await ended(program.process, 'SIGTERM')] as const),
    );
    return Object.fromEntries(codes);
  }

  async stop(): Promise<void> {
    for (const { process: child } of this.programs.values()) await ended(child, 'SIGKILL');
    for (const broker of this.brokers) await this.kill(broker);
  }

  /** As a pod's first container: again until it succeeds, because brokers that have just started have no leader yet. */
  async #initialize(): Promise<void> {
    const environment = await this.#environmentOf('initializer', {});
    await until(async () => {
      const [code] = await once(this.#spawn('infra/initializer', environment), 'exit');
      return code === 0;
    });
  }

  #spawn(folder: string, env: Readonly<Record<string, string>>): ChildProcess {
    const own =
      assembled === undefined
        ? [join(repository, folder, 'src', 'main.ts')]
        : [join(assembled, folder, 'dist', 'main.js')];
    const flags = assembled === undefined ? [] : ['--conditions=built'];
    return spawn(process.execPath, [...flags, ...own], {
      env: { ...env, ...(assembled === undefined && compileCache) },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  }

  /** The generated environment, with this machine's addresses and folders in the place of the pod's. */
  async #environmentOf(name: string, doors: Readonly<Record<string, string>>): Promise<Record<string, string>> {
    const overlay = join(repository, 'infra', 'kustomize', 'overlays', this.region);
    const given = parseEnv(await readFile(join(overlay, `${name}.env`), 'utf8')) as Record<string, string>;
    const role = name === 'inference-worker' ? 'worker' : (name as 'scheduler' | 'sync' | 'optimizer' | 'initializer');
    const state = join(this.directory, name);
    await mkdir(state, { recursive: true });
    const topologyFile = join(state, 'regions.yaml');
    const scheduler = this.programs.get('scheduler')?.grpc ?? '127.0.0.1:1';
    const view = await readFile(join(overlay, 'regions.yaml'), 'utf8');
    await writeFile(topologyFile, view.replace('scheduler:7443', scheduler));
    const here: Record<string, string> = {
      ...doors,
      MERIDIAN_TOPOLOGY_FILE: topologyFile,
      MERIDIAN_NATS_URL: this.urls.join(','),
      MERIDIAN_NATS_SEED_FILE: this.credentials.seedFiles[role],
      MERIDIAN_TLS_DIRECTORY: this.credentials.certificates[role],
      MERIDIAN_STATE_DIRECTORY: state,
      MERIDIAN_BLOB_DIRECTORY: join(state, 'blobs'),
      MERIDIAN_IDENTITY_FILE: join(state, 'identity.json'),
      MERIDIAN_SYNC_ADDRESS: this.programs.get('sync')?.grpc ?? '127.0.0.1:1',
      MERIDIAN_CATALOGUE_DIRECTORY: catalogue(),
    };
    // Only what the manifests give: nothing that this test adds could hide that they lack it.
    return Object.fromEntries(Object.entries(given).map(([variable, value]) => [variable, here[variable] ?? value]));
  }
}

function catalogue(): string {
  const own = assembled === undefined ? '' : join(assembled, 'catalogue');
  return existsSync(own) ? own : modelDirectory;
}

async function prepare(
  o: { readonly directory: string; readonly text: string; readonly tls: string; readonly variables: object },
  region: string,
  i: number,
): Promise<DeployedBroker> {
  const root = join(o.directory, `nats-${i}`);
  await mkdir(root, { recursive: true });
  const names = Object.keys(BROKER_PORTS) as (keyof typeof BROKER_PORTS)[];
  const free = await Promise.all(names.map(async (name) => [name, await freePort()] as const));
  const ports = Object.fromEntries(free) as DeployedBroker['ports'];
  let own = o.text.replace('"/data"', `"${root}/data"`).replace('/run/nats/', `${root}/`);
  own = own.replaceAll('/etc/nats-tls', o.tls);
  for (const name of names) own = own.replaceAll(`0.0.0.0:${BROKER_PORTS[name]}`, `127.0.0.1:${ports[name]}`);
  const file = join(root, 'nats.conf');
  await writeFile(file, own);
  const name = `${region}-nats-${i}`;
  return { name, ports, file, environment: { ...o.variables, SERVER_NAME: name } };
}

async function ended(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<number | null> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
  const gone = once(child, 'exit');
  child.kill(signal);
  const [code] = await gone;
  return code as number | null;
}

export async function isHealthy(address: string, path: string): Promise<boolean> {
  return fetch(`http://${address}${path}`).then(
    ({ ok }) => ok,
    () => false,
  );
}

export async function until(condition: () => Promise<boolean> | boolean, limitMs = 30_000): Promise<void> {
  for (const end = systemClock.monotonicMs() + limitMs; systemClock.monotonicMs() < end; await systemClock.sleep(50))
    if (await condition()) return;
  throw new Error(`not within ${limitMs} ms`);
}
