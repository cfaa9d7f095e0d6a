import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ensureCertificates, type Installation, type RegionCredentials } from '@meridian/certificates';
import { LinkEmulator } from '@meridian/links';
import { freePort } from '@meridian/local';
import { DEAD_ADDRESS, natsConfig } from '@meridian/nats-config';
import { linkOf, type Topology } from '@meridian/topology';
import { natsServerBinary } from './nats-server.ts';

export interface RegionBrokersOptions {
  /** In the order of the topology; default: all three of the article, with its round trips. */
  readonly regions?: readonly string[];
  /** false: brokers dial each other directly. Default true: through the link emulator. */
  readonly links?: boolean;
  readonly auditor?: boolean;
  /** For certificates, stores and configurations; the caller removes it. */
  readonly directory: string;
}

export interface RegionBroker {
  readonly region: string;
  readonly clientUrl: string;
  readonly ports: { readonly client: number; readonly leaf: number; readonly monitor: number };
  readonly credentials: RegionCredentials;
  readonly configurationFile: string;
  /** The topology as this region sees it: peers' leaf addresses are the emulator's. */
  readonly view: Topology;
  readonly pid: number | undefined;
  readonly log: string;
  /** SIGKILL; the store stays. */
  kill(): Promise<void>;
  /** Starts it again with the same ports and store; resolves when it accepts clients. */
  launch(): Promise<void>;
  /** What the broker itself says of its leaf connections, from its monitor port. */
  leafConnections(): Promise<readonly LeafConnection[]>;
}

export interface LeafConnection {
  readonly account: string;
  /** Of the other end: for a broker that dialled, the address that it dialled. */
  readonly ip: string;
  readonly port: number;
  /** What the peer has asked to be sent; 0 until it has said so. */
  readonly subscriptions: number;
}

export interface RegionBrokers {
  /** @throws RangeError for a region that was not started. */
  of(region: string): RegionBroker;
  readonly emulator: LinkEmulator;
  readonly installation: Installation;
  readonly topology: Topology;
  /** Resolves when every broker has a leaf connection with every peer. */
  connected(): Promise<void>;
  stop(): Promise<void>;
}

const ROUND_TRIPS_MS: Readonly<Record<string, number>> = {
  'beijing shanghai': 50,
  'beijing guangzhou': 100,
  'shanghai guangzhou': 150,
};
const REGIONS = ['beijing', 'shanghai', 'guangzhou'];
const BANDWIDTH_MBPS = 1000;
const READY_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 10_000;
const LOG_CHARS_MAX = 256 * 1024;

/** Route of the emulator by which the viewer's broker dials the target's. */
export function leafRoute(viewer: string, target: string): string {
  return `${viewer}>${target}:leaf`;
}

/** One real broker for each region, with the product's configuration and certificates, over emulated links. */
export async function startRegionBrokers(options: RegionBrokersOptions): Promise<RegionBrokers> {
  const names = options.regions ?? REGIONS;
  const ports = new Map<string, Broker['ports']>();
  for (const name of names)
    ports.set(name, { client: await freePort(), leaf: await freePort(), monitor: await freePort() });
  const topology = topologyOf(names, (name) => ports.get(name)?.leaf ?? 0);
  const emulator = new LinkEmulator();
  const installation = await ensureCertificates({
    directory: path.join(options.directory, 'certificates'),
    topology,
    clockMs: Date.now(),
  });
  const brokers = new Map<string, Broker>();
  const stop = async (): Promise<void> => {
    await Promise.all([...brokers.values()].map((broker) => broker.end('SIGTERM')));
    await emulator.close();
  };
  try {
    for (const region of names) {
      const view = options.links === false ? topology : await openRoutes(emulator, topology, region);
      const broker = await prepare(region, view, ports.get(region) as Broker['ports'], installation, options);
      brokers.set(region, broker);
    }
    const all = [...brokers.values()];
    await Promise.all(all.map((broker) => broker.launch()));
    const connected = () => until(async () => (await fullyConnected(all)) || `not all leaf links are up`);
    await connected();
    const of = (region: string): RegionBroker => {
      const broker = brokers.get(region);
      if (broker === undefined) throw new RangeError(`no broker was started for ${region}`);
      return broker;
    };
    return { of, emulator, installation, topology, connected, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Polls until the condition is true; its text says what was missing in the end. */
export async function until(
  condition: () => Promise<boolean | string> | boolean | string,
  timeoutMs = READY_TIMEOUT_MS,
  everyMs = 20,
): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const state = await condition();
    if (state === true) return;
    if (performance.now() > deadlineMs) throw new Error(`after ${timeoutMs} ms: ${state || 'condition does not hold'}`);
    await new Promise((tick) => setTimeout(tick, everyMs));
  }
}

function topologyOf(names: readonly string[], leafPort: (name: string) => number): Topology {
  const regions = names.map((name) => ({
    ...{ name, latitude: 0, longitude: 0, zone: 'cn', capacity: 1 },
    ...{ leafAddress: `127.0.0.1:${leafPort(name)}`, grpcAddress: DEAD_ADDRESS },
  }));
  const links = names.flatMap((a, i) =>
    names.slice(i + 1).map((b) => ({
      between: [a, b] as const,
      roundTripMs: ROUND_TRIPS_MS[`${a} ${b}`] ?? ROUND_TRIPS_MS[`${b} ${a}`] ?? 50,
      bandwidthMbps: BANDWIDTH_MBPS,
    })),
  );
  return { regions, links };
}

/** Opens a route to every peer. @returns the topology in which peers' addresses are the routes'. */
async function openRoutes(emulator: LinkEmulator, topology: Topology, viewer: string): Promise<Topology> {
  const regions = [];
  for (const region of topology.regions) {
    if (region.name === viewer) {
      regions.push(region);
      continue;
    }
    const { roundTripMs, bandwidthMbps } = linkOf(topology, viewer, region.name);
    const { port } = await emulator.open({
      name: leafRoute(viewer, region.name),
      link: [viewer, region.name],
      target: { host: '127.0.0.1', port: Number(region.leafAddress.split(':')[1]) },
      oneWayDelayMs: roundTripMs / 2,
      bandwidthMbps,
      listenPort: await freePort(),
    });
    regions.push({ ...region, leafAddress: `127.0.0.1:${port}` });
  }
  return { ...topology, regions };
}

async function prepare(
  region: string,
  view: Topology,
  ports: Broker['ports'],
  installation: Installation,
  options: RegionBrokersOptions,
): Promise<Broker> {
  const credentials = installation.regions[region];
  if (credentials === undefined) throw new RangeError(`no credentials for ${region}`);
  const directory = path.join(options.directory, 'brokers', region);
  const configurationFile = path.join(directory, 'nats-server.conf');
  const pem = (name: string) => path.join(credentials.certificates.broker, `${name}.pem`);
  await mkdir(directory, { recursive: true });
  const text = natsConfig({
    ...{ topology: view, region, ports, advertise: DEAD_ADDRESS, listenHost: '127.0.0.1' },
    ...{
      storeDirectory: path.join(directory, 'store'),
      certificates: { ca: pem('ca'), cert: pem('cert'), key: pem('key') },
    },
    ...{ publicKeys: credentials.publicKeys, links: credentials.links, jetstreamKey: credentials.jetstreamKey },
    auditor: options.auditor === true,
  });
  await writeFile(configurationFile, text, { mode: 0o600 });
  return new Broker(region, view, ports, credentials, configurationFile);
}

async function fullyConnected(brokers: readonly Broker[]): Promise<boolean> {
  const leafs = await Promise.all(brokers.map((broker) => broker.leafConnections()));
  return leafs.every((own) => own.length === brokers.length - 1 && own.every((leaf) => leaf.subscriptions > 0));
}

class Broker implements RegionBroker {
  readonly region: string;
  readonly view: Topology;
  readonly ports: RegionBroker['ports'];
  readonly credentials: RegionCredentials;
  readonly configurationFile: string;
  #process: ChildProcess | undefined;
  #log = '';

  constructor(
    region: string,
    view: Topology,
    ports: RegionBroker['ports'],
    credentials: RegionCredentials,
    configurationFile: string,
  ) {
    this.region = region;
    this.view = view;
    this.ports = ports;
    this.credentials = credentials;
    this.configurationFile = configurationFile;
  }

  get clientUrl(): string {
    return `tls://127.0.0.1:${this.ports.client}`;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  get log(): string {
    return this.#log;
  }

  async launch(): Promise<void> {
    const child = spawn(natsServerBinary(), ['-c', this.configurationFile], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process = child;
    const keep = (chunk: Buffer): void => {
      this.#log = (this.#log + chunk.toString()).slice(-LOG_CHARS_MAX);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', (error) => keep(Buffer.from(String(error))));
    await until(async () => {
      if (child.exitCode !== null) throw new Error(`broker of ${this.region} ended:\n${this.#log}`);
      return (await this.#monitor('healthz')) !== undefined || `broker of ${this.region} is not healthy:\n${this.#log}`;
    });
  }

  kill(): Promise<void> {
    return this.end('SIGKILL');
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(timer);
  }

  async leafConnections(): Promise<readonly LeafConnection[]> {
    const answer = (await this.#monitor('leafz')) as { leafs?: LeafConnection[] } | undefined;
    return answer?.leafs ?? [];
  }

  async #monitor(page: string): Promise<unknown> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.ports.monitor}/${page}`);
      return response.ok ? await response.json() : undefined;
    } catch {
      return undefined; // not listening yet, or killed
    }
  }
}
