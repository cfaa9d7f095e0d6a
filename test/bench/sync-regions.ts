import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { VersionVector } from '@meridian/causality';
import { systemClock } from '@meridian/runtime';
import { linkOf } from '@meridian/topology';
import { type RegionBrokers, startRegionBrokers } from '../support/region-brokers.ts';
import { createStreams } from '../support/sync-process.ts';
import { cpuMsOf } from './process-cpu.ts';
import { type Answer, type Order, sharedMs } from './sync-order.ts';
import { dealt, type Update } from './sync-workload.ts';

export const REGIONS = ['beijing', 'shanghai', 'guangzhou'] as const;
export type Region = (typeof REGIONS)[number];

/** Quiet: all processes together use less than this share of a core, so often in a row. */
const QUIET_SHARE = 0.2;
const QUIET_MS = 500;
const QUIET_TIMES = 2;

/** Three regions as they are run: brokers with the product's configuration over emulated links, and their sync services. */
export class SyncRegions {
  readonly brokers: RegionBrokers;
  readonly #processes = new Map<Region, ChildProcess>();

  private constructor(brokers: RegionBrokers) {
    this.brokers = brokers;
  }

  static async start(directory: string): Promise<SyncRegions> {
    const brokers = await startRegionBrokers({ directory, regions: REGIONS, auditor: true });
    const regions = new SyncRegions(brokers);
    try {
      for (const region of REGIONS) await createStreams(brokers, region);
      await Promise.all(REGIONS.map((region) => regions.#start(region, join(directory, 'sync', region))));
      return regions;
    } catch (error) {
      await regions.stop();
      throw error;
    }
  }

  oneWayMs(from: Region, to: Region): number {
    return linkOf(this.brokers.topology, from, to).roundTripMs / 2;
  }

  async order(region: Region, order: Order): Promise<Answer> {
    const child = this.#processes.get(region);
    if (child === undefined) throw new RangeError(region);
    const failed = new AbortController();
    const exited = (code: number | null) => failed.abort(new Error(`sync of ${region} ended with code ${code}`));
    child.once('exit', exited);
    try {
      const answer = once(child, 'message', { signal: failed.signal });
      child.send(order);
      return (await answer)[0] as Answer;
    } finally {
      child.off('exit', exited);
    }
  }

  all(order: Order): Promise<Answer[]> {
    return Promise.all(REGIONS.map((region) => this.order(region, order)));
  }

  /** Writes, one third in each region. @returns when all could be read everywhere, from the start of the first write */
  async untilAllSeeAll(updates: readonly Update[], batch: number): Promise<number> {
    const startMs = sharedMs();
    const shares = dealt(updates, REGIONS.length);
    const written = await Promise.all(
      REGIONS.map((region, i) => this.order(region, { kind: 'write', updates: shares[i] ?? [], batch })),
    );
    return (await this.untilCovered(written)) - startMs;
  }

  /** @returns when the last region could read all that the answers tell of. @throws when two regions show different state */
  async untilCovered(answers: readonly Answer[]): Promise<number> {
    const vectors = answers.map(({ vector }) => VersionVector.parse(vector) ?? VersionVector.EMPTY);
    const vector = vectors.reduce((a, b) => a.merge(b)).toString();
    const covered = await this.all({ kind: 'await', vector });
    const digests = await this.all({ kind: 'digest' });
    if (new Set(digests.map(({ digest }) => digest)).size !== 1) throw new Error('the regions show different values');
    return Math.max(...covered.map(({ atMs }) => atMs));
  }

  /** Resolves when what was written before has left nothing to do: history and events follow what readers see. */
  async untilQuiet(): Promise<void> {
    const pids = [...this.#processes.values()].map(({ pid = 0 }) => pid);
    for (let [before, quiet] = [await cpuMsOf(pids), 0]; quiet < QUIET_TIMES; ) {
      await systemClock.sleep(QUIET_MS);
      const now = await cpuMsOf(pids);
      quiet = now - before <= QUIET_MS * QUIET_SHARE ? quiet + 1 : 0;
      before = now;
    }
  }

  async stop(): Promise<void> {
    const ended = [...this.#processes.values()].map(async (child) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.disconnect(); // it ends with its orders
      await exited;
    });
    await Promise.all(ended);
    await this.brokers.stop();
  }

  async #start(region: Region, directory: string): Promise<void> {
    const { credentials, clientUrl } = this.brokers.of(region);
    await mkdir(directory, { recursive: true });
    const setting = {
      ...{ region, members: REGIONS.filter((other) => other !== region), natsUrl: clientUrl, directory },
      ...{ seedFile: credentials.seedFiles.sync, tlsDirectory: credentials.certificates.sync },
    };
    const child = fork(join(import.meta.dirname, 'sync-region.ts'), [JSON.stringify(setting)], {
      execArgv: ['--disable-warning=ExperimentalWarning', '--expose-gc'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#processes.set(region, child);
    const failed = new AbortController();
    child.once('exit', (code) => failed.abort(new Error(`sync of ${region} ended with code ${code}`)));
    await once(child, 'message', { signal: failed.signal });
  }
}
