import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Installation } from '@meridian/certificates';
import { Failure } from '@meridian/failure';
import { forgetRegion, initializeRegion } from '@meridian/initializer';
import { DEAD_ADDRESS, natsConfig } from '@meridian/nats-config';
import type { Clock } from '@meridian/runtime';
import type { Topology } from '@meridian/topology';
import { ManagedProcess, type ProcessPorts } from './managed-process.ts';
import { SERVICE_NODE_FLAGS } from './node-flags.ts';
import type { StatePaths } from './paths.ts';
import { type RegionPlan, serviceEnvironment } from './region-plan.ts';
import { administration } from './stream-administration.ts';

export interface RegionSettings {
  readonly plan: RegionPlan;
  readonly state: StatePaths;
  /** The topology as this region sees it. */
  readonly view: Topology;
  readonly viewText: string;
  readonly installation: Installation;
  readonly natsServer: string;
  readonly repository: string;
  readonly extraEnvironment: Readonly<Record<string, string>>;
  readonly auditor: boolean;
}

/**
 * A local broker moves small messages: more than one thread would mostly look for work (its runtime spins), and a heap of
 * some megabytes need not be collected each time it doubles. Measured: a fifth less CPU for each picture.
 */
const BROKER_ENVIRONMENT = { GOMAXPROCS: '1', GOGC: '400' };

export type RegionState = 'down' | 'starting' | 'up' | 'failed';

/**
 * One region's processes: broker, then its services.
 *
 * 1. Services run only while the broker was initialised or verified in this start.
 * 2. After `kill` nothing of the region runs until `start`.
 */
export class LocalRegion {
  readonly settings: RegionSettings;
  readonly broker: ManagedProcess;
  readonly services: readonly ManagedProcess[];
  readonly #ports: ProcessPorts;
  #state: RegionState = 'down';
  #problem = '';

  constructor(settings: RegionSettings, ports: ProcessPorts) {
    this.settings = settings;
    this.#ports = ports;
    this.broker = new ManagedProcess(this.#brokerSpec(), ports);
    this.services = settings.plan.instances.map((instance) => new ManagedProcess(this.#serviceSpec(instance), ports));
  }

  get name(): string {
    return this.settings.plan.region;
  }

  get state(): RegionState {
    return this.#state;
  }

  /** Why the region is `failed`. */
  get problem(): string {
    return this.#problem;
  }

  get processes(): readonly ManagedProcess[] {
    return [this.broker, ...this.services];
  }

  async start(): Promise<void> {
    this.#state = 'starting';
    try {
      await this.#writeFiles();
      await this.broker.start();
      const streams = await administration(this.settings);
      try {
        await initializeRegion(this.name, this.settings.plan.paths.identityFile, streams);
      } finally {
        await streams.close();
      }
      await Promise.all(this.services.map((service) => service.start()));
      this.#state = 'up';
    } catch (error) {
      this.#state = 'failed';
      this.#problem = Failure.from(error).message;
      await Promise.all(this.processes.map((process) => process.kill()));
      throw error;
    }
  }

  /** Services first, so that they can hand back what they hold; then the broker. */
  async stop(): Promise<void> {
    await Promise.all(this.services.map((service) => service.stop()));
    await this.broker.stop();
    this.#state = 'down';
  }

  async kill(): Promise<void> {
    await Promise.all(this.processes.map((process) => process.kill()));
    this.#state = 'down';
  }

  /** Accepts the loss of the region's broker store. */
  async reinitialize(): Promise<void> {
    await this.stop();
    await forgetRegion(this.settings.plan.paths.identityFile, this.settings.plan.paths.brokerStore);
    await this.start();
  }

  async #writeFiles(): Promise<void> {
    const { plan, viewText } = this.settings;
    for (const { name } of plan.instances) await mkdir(plan.paths.service(name), { recursive: true });
    await mkdir(plan.paths.brokerStore, { recursive: true });
    await writeFile(plan.paths.topologyFile, viewText);
    await writeFile(plan.paths.brokerConfig, this.#brokerConfig(), { mode: 0o600 });
  }

  #brokerConfig(): string {
    const { plan, view, installation, auditor } = this.settings;
    const credentials = installation.regions[plan.region];
    if (credentials === undefined) throw new RangeError(`no credentials for ${plan.region}`);
    const broker = credentials.certificates.broker;
    return natsConfig({
      topology: view,
      region: plan.region,
      listenHost: '127.0.0.1',
      ports: { client: plan.ports.client, leaf: plan.ports.leaf, monitor: plan.ports.monitor },
      storeDirectory: plan.paths.brokerStore,
      certificates: {
        ca: join(broker, 'ca.pem'),
        cert: join(broker, 'cert.pem'),
        key: join(broker, 'key.pem'),
      },
      // Brokers tell each other where they listen; that way would lead round the emulated links.
      advertise: DEAD_ADDRESS,
      publicKeys: credentials.publicKeys,
      links: credentials.links,
      jetstreamKey: credentials.jetstreamKey,
      auditor,
    });
  }

  #brokerSpec(): ConstructorParameters<typeof ManagedProcess>[0] {
    const { plan, natsServer, state } = this.settings;
    return {
      name: `${plan.region}/broker`,
      command: natsServer,
      args: ['-c', plan.paths.brokerConfig],
      environment: BROKER_ENVIRONMENT,
      logFile: join(state.logs, `${plan.region}-broker.log`),
      ready: (signal) => portAnswers(plan.ports.client, this.#ports.clock, signal),
      stopSignal: 'SIGTERM',
    };
  }

  #serviceSpec(instance: RegionPlan['instances'][number]): ConstructorParameters<typeof ManagedProcess>[0] {
    const { plan, state, repository, extraEnvironment } = this.settings;
    return {
      name: `${plan.region}/${instance.name}`,
      command: process.execPath,
      args: [
        '--disable-warning=ExperimentalWarning',
        ...SERVICE_NODE_FLAGS,
        join(repository, 'services', instance.service, 'src', 'main.ts'),
      ],
      environment: serviceEnvironment(plan, state, instance, extraEnvironment),
      logFile: join(state.logs, `${plan.region}-${instance.name}.log`),
      ready: 'ipc',
      stopSignal: 'SIGTERM',
    };
  }
}

/** Resolves when something listens on the port; ends with an error when the signal says that the process is gone. */
async function portAnswers(port: number, clock: Clock, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (open) return;
    await clock.sleep(20, signal);
  }
}
