import { join } from 'node:path';

/** Where everything of a local run lives below the state folder. Deleting the folder undoes all that a run did. */
export interface StatePaths {
  readonly root: string;
  readonly certificates: string;
  readonly models: string;
  readonly run: string;
  /** What `./meridian` reads to find the running system. */
  readonly runningFile: string;
  readonly portsFile: string;
  readonly pidsFile: string;
  readonly controlSocket: string;
  readonly logs: string;
}

export function statePaths(root: string): StatePaths {
  const run = join(root, 'run');
  return {
    root,
    certificates: join(root, 'certificates'),
    models: join(root, 'models'),
    run,
    runningFile: join(run, 'running.json'),
    portsFile: join(run, 'ports.json'),
    pidsFile: join(run, 'pids.json'),
    controlSocket: join(run, 'control.sock'),
    logs: join(root, 'logs'),
  };
}

export interface RegionPaths {
  readonly root: string;
  /** Written once by initialisation, outside the JetStream store: a store that vanished is noticed. */
  readonly identityFile: string;
  readonly brokerStore: string;
  readonly brokerConfig: string;
  /** This region's view of the topology: peers' addresses are the link emulator's. */
  readonly topologyFile: string;
  readonly service: (name: string) => string;
}

export function regionPaths(state: StatePaths, region: string): RegionPaths {
  const root = join(state.root, 'regions', region);
  return {
    root,
    identityFile: join(root, 'identity.json'),
    brokerStore: join(root, 'broker'),
    brokerConfig: join(root, 'nats-server.conf'),
    topologyFile: join(root, 'regions.yaml'),
    service: (name) => join(root, name),
  };
}
