import { childrenOf } from '../bench/process-cpu.ts';
import type { RunningSystem } from '../support/local-system.ts';

/** One thing that goes wrong under a job of region beijing, and how it ends. */
export interface Fault {
  readonly name: string;
  /** Regions whose open tasks it hits; at least OPEN_MIN of main.ts must be open in each. */
  readonly hits: readonly string[];
  inject(running: RunningSystem): Promise<void>;
  /** Undoes it after `lastsMs`; nothing for faults that the system repairs by itself. */
  readonly lastsMs?: number;
  repair?(running: RunningSystem): Promise<void>;
}

export const ORIGIN = 'beijing';

export const FAULTS: readonly Fault[] = [
  {
    name: 'kill -9 a worker',
    hits: ['shanghai'],
    inject: async ({ system }) => system.process('shanghai', 'inference-worker').signal('SIGKILL'),
  },
  {
    name: 'SIGSTOP a worker',
    hits: ['guangzhou'],
    inject: async ({ system }) => system.process('guangzhou', 'inference-worker').signal('SIGSTOP'),
    lastsMs: 12_000,
    repair: async ({ system }) => system.process('guangzhou', 'inference-worker').signal('SIGCONT'),
  },
  {
    name: 'SIGSTOP an inference child',
    hits: ['shanghai'],
    inject: async ({ system }) => {
      const worker = system.process('shanghai', 'inference-worker').pid;
      const [child] = worker === undefined ? [] : await childrenOf(worker);
      if (child === undefined) throw new Error('the worker of shanghai has no child process');
      process.kill(child, 'SIGSTOP');
    },
  },
  ...['shanghai', 'guangzhou', ORIGIN].map(
    (region): Fault => ({
      name: `kill -9 region ${region}`,
      hits: region === ORIGIN ? ['beijing', 'shanghai', 'guangzhou'] : [region],
      inject: ({ system }) => system.region(region).kill(),
      lastsMs: 10_000,
      repair: ({ system }) => system.region(region).start(),
    }),
  ),
  ...['shanghai', 'guangzhou'].map(
    (peer): Fault => ({
      name: `cut ${ORIGIN} – ${peer} for 8 s`,
      hits: [peer],
      inject: async ({ system }) => system.emulator.cut(ORIGIN, peer),
      lastsMs: 8_000,
      repair: async ({ system }) => system.emulator.heal(ORIGIN, peer),
    }),
  ),
  {
    name: 'kill -9 the scheduler',
    hits: ['beijing', 'shanghai', 'guangzhou'],
    inject: async ({ system }) => system.process(ORIGIN, 'scheduler').signal('SIGKILL'),
  },
];
