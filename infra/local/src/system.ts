import { mkdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { ensureCertificates, type Installation } from '@meridian/certificates';
import { Failure } from '@meridian/failure';
import { LinkEmulator } from '@meridian/links';
import { type Clock, type Random, systemClock, systemRandom } from '@meridian/runtime';
import type { Topology } from '@meridian/topology';
import { endLeftovers, recordPids } from './leftovers.ts';
import type { ManagedProcess } from './managed-process.ts';
import { regionPaths, type StatePaths, statePaths } from './paths.ts';
import { PortBook } from './ports.ts';
import { LocalRegion } from './region.ts';
import { regionPlan, regionPortNames } from './region-plan.ts';
import { type Detour, openWan, routeNames, viewOf, viewText } from './wan.ts';

export interface SystemOptions {
  readonly stateRoot: string;
  readonly repository: string;
  readonly topology: Topology;
  readonly natsServer: string;
  /** Inference workers in each region. */
  readonly workers: number;
  readonly onChange: (event: { name: string; text: string }) => void;
  /** More environment for every service, e.g. MERIDIAN_LOG_LEVEL. */
  readonly extraEnvironment?: Readonly<Record<string, string>>;
  /** Adds a user to every account that may read everything. Tests only. */
  readonly auditor?: boolean;
  /** What each way between regions leads to in the place of a door. Tests only. */
  readonly detour?: Detour;
}

/**
 * Several regions on this machine, joined by the emulated WAN: brokers, services, links.
 *
 * 1. All traffic between regions passes through the emulator; regions know no other address of each other.
 * 2. At most one system runs on a state folder; what a killed one left is ended at the next start.
 */
export class LocalSystem {
  readonly paths: StatePaths;
  readonly topology: Topology;
  readonly emulator = new LinkEmulator();
  readonly installation: Installation;
  readonly regions: ReadonlyMap<string, LocalRegion>;
  readonly #port: (name: string) => number;
  readonly #detour: Detour | undefined;
  #recording: Promise<void> = Promise.resolve();

  private constructor(
    paths: StatePaths,
    options: SystemOptions,
    installation: Installation,
    port: (name: string) => number,
    ports: { clock: Clock; random: Random },
  ) {
    this.paths = paths;
    this.topology = options.topology;
    this.installation = installation;
    this.#port = port;
    this.#detour = options.detour;
    const processPorts = { ...ports, onChange: options.onChange, onSpawn: () => void this.#recordPids() };
    this.regions = new Map(
      options.topology.regions.map(({ name }) => {
        const plan = regionPlan(name, regionPaths(paths, name), port, options.workers);
        const settings = {
          plan,
          state: paths,
          view: viewOf(options.topology, name, port),
          viewText: viewText(options.topology, name, port),
          installation,
          natsServer: options.natsServer,
          repository: options.repository,
          extraEnvironment: options.extraEnvironment ?? {},
          auditor: options.auditor ?? false,
        };
        return [name, new LocalRegion(settings, processPorts)];
      }),
    );
  }

  /** Reserves ports and makes what is missing of certificates and folders. Starts nothing. */
  static async prepare(options: SystemOptions): Promise<LocalSystem> {
    const paths = statePaths(options.stateRoot);
    await mkdir(paths.run, { recursive: true, mode: 0o700 });
    await mkdir(paths.logs, { recursive: true });
    await refuseSecondRun(paths.controlSocket);
    await endLeftovers(paths.pidsFile);
    const book = await PortBook.open(paths.portsFile);
    const regionNames = options.topology.regions.flatMap(({ name }) => regionPortNames(name, options.workers));
    const port = await book.reserve([...regionNames, ...routeNames(options.topology)]);
    const first = options.topology.regions[0];
    if (first === undefined) throw new Failure('INVALID_ARGUMENT', 'the topology has no region');
    const installation = await ensureCertificates({
      directory: paths.certificates,
      topology: viewOf(options.topology, first.name, port),
      clockMs: systemClock.nowMs(),
    });
    return new LocalSystem(paths, options, installation, port, { clock: systemClock, random: systemRandom });
  }

  /**
   * Opens the links and starts every region. A region that cannot start stays down with its `problem`, the others run.
   * @throws the first problem when no region could be started.
   */
  async start(): Promise<void> {
    await openWan(this.emulator, this.topology, this.#port, this.#detour);
    const starts = await Promise.allSettled(Array.from(this.regions.values(), (region) => region.start()));
    await this.#writeRunningFile();
    const failed = starts.filter((start) => start.status === 'rejected');
    if (failed.length === starts.length) throw failed[0]?.reason;
  }

  async stop(): Promise<void> {
    await Promise.all(Array.from(this.regions.values(), (region) => region.stop()));
    await this.emulator.close();
    await this.#recording;
    await rm(this.paths.runningFile, { force: true });
    await rm(this.paths.pidsFile, { force: true });
  }

  region(name: string): LocalRegion {
    const region = this.regions.get(name);
    if (region !== undefined) return region;
    throw new Failure('NOT_FOUND', `no region ${name}; there are ${[...this.regions.keys()].join(', ')}`, {
      reason: 'REGION_UNKNOWN',
    });
  }

  /** `scheduler`, `sync`, `optimizer`, `inference-worker`, `inference-worker-2`, `broker`. */
  process(region: string, name: string): ManagedProcess {
    const processes = this.region(region).processes;
    const found = processes.find((process) => process.spec.name === `${region}/${name}`);
    if (found !== undefined) return found;
    const names = processes.map((process) => process.spec.name.slice(region.length + 1)).join(', ');
    throw new Failure('NOT_FOUND', `region ${region} has no process ${name}; it has ${names}`);
  }

  schedulerAddress(region: string): string {
    return `127.0.0.1:${this.region(region).settings.plan.ports.scheduler}`;
  }

  syncAddress(region: string): string {
    return `127.0.0.1:${this.region(region).settings.plan.ports.sync}`;
  }

  optimizerAddress(region: string): string {
    return `127.0.0.1:${this.region(region).settings.plan.ports.optimizer}`;
  }

  natsUrl(region: string): string {
    return `tls://127.0.0.1:${this.region(region).settings.plan.ports.client}`;
  }

  async #writeRunningFile(): Promise<void> {
    const regions = Object.fromEntries(
      Array.from(this.regions.keys(), (name) => [
        name,
        {
          scheduler: this.schedulerAddress(name),
          sync: this.syncAddress(name),
          optimizer: this.optimizerAddress(name),
          nats: this.natsUrl(name),
          metrics: this.region(name).settings.plan.ports.metrics,
        },
      ]),
    );
    const running = {
      regions,
      control: this.paths.controlSocket,
      certificates: this.paths.certificates,
      pid: process.pid,
    };
    await writeFile(this.paths.runningFile, `${JSON.stringify(running, null, 2)}\n`);
  }

  /** One write at a time, each with what runs then. */
  #recordPids(): Promise<void> {
    this.#recording = this.#recording.then(async () => {
      const pids = Array.from(this.regions.values(), (region) => region.processes.map((one) => one.pid)).flat();
      await recordPids(
        this.paths.pidsFile,
        pids.filter((pid) => pid !== undefined),
      );
    });
    return this.#recording;
  }
}

/** @throws Failure FAILED_PRECONDITION / ALREADY_RUNNING when a run answers on the state folder's control socket. */
async function refuseSecondRun(controlSocket: string): Promise<void> {
  const answers = await new Promise<boolean>((resolve) => {
    const socket = connect(controlSocket);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
  if (!answers) return;
  throw new Failure(
    'FAILED_PRECONDITION',
    'a system already runs on this state folder: stop it with Ctrl-C, or use another one: make run STATE=/path',
    { reason: 'ALREADY_RUNNING' },
  );
}
