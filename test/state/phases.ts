import { until } from '../support/region-brokers.ts';
import { pause, REGIONS, type Region, type StateRegions } from './state-regions.ts';

/** Something that is done to the regions while all of them are written to, undone at its end. */
export interface Phase {
  readonly name: string;
  strike(regions: StateRegions): Promise<void>;
}

export function linkCut(a: Region, b: Region, lastsMs: number): Phase {
  return {
    name: `link ${a}-${b} cut`,
    strike: async ({ brokers: { emulator } }) => {
      emulator.cut(a, b);
      await pause(lastsMs);
      emulator.heal();
    },
  };
}

export function regionCutOff(region: Region, lastsMs: number): Phase {
  return {
    name: `${region} cut off`,
    strike: async (regions) => {
      regions.cutOff(region);
      await pause(lastsMs);
      regions.brokers.emulator.heal();
    },
  };
}

export function syncKilled(region: Region): Phase {
  return { name: `sync of ${region} killed`, strike: (regions) => regions.killSync(region) };
}

export function syncStopped(region: Region, lastsMs: number): Phase {
  return {
    name: `sync of ${region} stopped`,
    strike: async (regions) => {
      await stopped(regions.sync(region).pid, lastsMs);
      await regions.serves(region);
    },
  };
}

export function brokerStopped(region: Region, lastsMs: number): Phase {
  return {
    name: `broker of ${region} stopped`,
    strike: ({ brokers }) => stopped(brokers.of(region).pid ?? 0, lastsMs),
  };
}

export function brokerKilled(region: Region, downMs: number): Phase {
  return {
    name: `broker of ${region} killed`,
    strike: async ({ brokers }) => {
      await brokers.of(region).kill();
      await pause(downMs);
      await brokers.of(region).launch();
    },
  };
}

/** Sync and broker at once, while the region is cut off. */
export function regionKilled(region: Region, downMs: number): Phase {
  return {
    name: `${region} cut off, its sync and broker killed`,
    strike: async (regions) => {
      regions.cutOff(region);
      await pause(downMs);
      const { pid } = regions.sync(region);
      process.kill(pid, 'SIGKILL');
      await regions.brokers.of(region).kill();
      await pause(downMs);
      await regions.brokers.of(region).launch();
      await until(() => regions.sync(region).pid !== pid || 'not started again');
      await regions.serves(region);
      regions.brokers.emulator.heal();
    },
  };
}

/** Each of the faults of processes and links, in every region. */
export function allPhases(lastsMs: number): Phase[] {
  return [
    { name: 'nothing', strike: () => pause(lastsMs) },
    ...REGIONS.flatMap((a, i) => REGIONS.slice(i + 1).map((b) => linkCut(a, b, lastsMs))),
    ...REGIONS.map((region) => regionCutOff(region, lastsMs)),
    ...REGIONS.map(syncKilled),
    ...REGIONS.map((region) => syncStopped(region, lastsMs)),
    ...REGIONS.map((region) => brokerStopped(region, lastsMs)),
    ...REGIONS.map((region) => brokerKilled(region, lastsMs / 4)),
    regionKilled('shanghai', lastsMs / 4),
  ];
}

async function stopped(pid: number, lastsMs: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  try {
    await pause(lastsMs);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
}
