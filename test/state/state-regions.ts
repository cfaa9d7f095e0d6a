import { createHash } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { VersionVector } from '@meridian/causality';
import { type EntryView, RegionSyncState, type StateService } from '@meridian/contracts/state';
import type { RpcClient } from '@meridian/rpc';
import { systemClock } from '@meridian/runtime';
import { type RegionBrokers, startRegionBrokers, until } from '../support/region-brokers.ts';
import { createStreams, SyncProcess } from '../support/sync-process.ts';
import type { Ledger } from './ledger.ts';
import type { Shown } from './losses.ts';

export const REGIONS = ['beijing', 'shanghai', 'guangzhou'] as const;
export type Region = (typeof REGIONS)[number];

const CALL_TIMEOUT_MS = 2_000;
const POLL_MS = 50;
/** From a broker's death to the last answers that it led to. */
const DEAD_MS = 200;
const PAGE_KEYS = 1_000;

/** What a region says of itself. */
export interface OwnStatus {
  readonly region: Region;
  readonly isActive: boolean;
  readonly vector: VersionVector;
  readonly digest: string;
  /** t_j, and the clock that it is compared with. */
  readonly knownUntilMs: number;
  readonly nowMs: number;
  /** v_j. */
  readonly rounds: number;
}

/** Three regions as they are run: real brokers over emulated links, and supervised sync services. */
export class StateRegions {
  readonly brokers: RegionBrokers;
  readonly clients: ReadonlyMap<Region, RpcClient<typeof StateService>>;
  readonly #directory: string;
  readonly #syncs: ReadonlyMap<Region, SyncProcess>;

  private constructor(brokers: RegionBrokers, syncs: ReadonlyMap<Region, SyncProcess>, directory: string) {
    this.brokers = brokers;
    this.#syncs = syncs;
    this.#directory = directory;
    this.clients = new Map([...syncs].map(([region, sync]) => [region, sync.client('operator')]));
  }

  static async start(directory: string, environment: Readonly<Record<string, string>>): Promise<StateRegions> {
    const brokers = await startRegionBrokers({ directory, regions: REGIONS, auditor: true });
    const syncs = new Map<Region, SyncProcess>();
    try {
      await Promise.all(REGIONS.map((region) => createStreams(brokers, region)));
      for (const region of REGIONS)
        syncs.set(region, new SyncProcess(brokers, { region, directory, environment, isSupervised: true }));
      await Promise.all([...syncs.values()].map((sync) => sync.start()));
      return new StateRegions(brokers, syncs, directory);
    } catch (error) {
      await Promise.all([...syncs.values()].map((sync) => sync.stop('SIGKILL')));
      await brokers.stop();
      throw error;
    }
  }

  sync(region: Region): SyncProcess {
    return this.#syncs.get(region) as SyncProcess;
  }

  client(region: Region): RpcClient<typeof StateService> {
    return this.clients.get(region) as RpcClient<typeof StateService>;
  }

  cutOff(region: Region): void {
    for (const other of othersOf(region)) this.brokers.emulator.cut(region, other);
  }

  /** The process is gone and must come back by itself, as another one. */
  async killSync(region: Region): Promise<void> {
    const { pid } = this.sync(region);
    process.kill(pid, 'SIGKILL');
    await until(() => this.sync(region).pid !== pid || 'not started again');
    await this.serves(region);
  }

  async serves(region: Region): Promise<void> {
    await until(async () => (await this.status(region)) !== undefined || `sync of ${region} does not serve`, 60_000);
  }

  /** SIGKILL, the store removed, started on an empty one. @returns when the last answers of before had come, by `performance` */
  async wipe(region: Region): Promise<number> {
    const broker = this.brokers.of(region);
    await broker.kill();
    await pause(DEAD_MS);
    const deadMs = performance.now();
    await rm(join(this.#directory, 'brokers', region, 'store'), { recursive: true });
    await broker.launch();
    await createStreams(this.brokers, region);
    return deadMs;
  }

  /** @returns undefined when it does not answer */
  async status(region: Region): Promise<OwnStatus | undefined> {
    const answer = await this.client(region)
      .getSyncStatus({}, { timeoutMs: CALL_TIMEOUT_MS })
      .catch(() => undefined);
    const own = answer?.regions[0];
    if (answer === undefined || own === undefined) return undefined;
    return {
      region,
      isActive: own.state === RegionSyncState.ACTIVE,
      vector: VersionVector.parse(own.versionVector) ?? VersionVector.EMPTY,
      digest: own.digest,
      knownUntilMs: Number(own.knownUntilUnixMs),
      nowMs: Number(answer.nowUnixMs),
      rounds: Number(own.rounds),
    };
  }

  async statuses(): Promise<readonly (OwnStatus | undefined)[]> {
    return Promise.all(REGIONS.map((region) => this.status(region)));
  }

  /** Resolves when all say the same vector and digest. @throws when they do not in time, with what they say */
  async equal(timeoutMs: number): Promise<OwnStatus> {
    let last: readonly (OwnStatus | undefined)[] = [];
    const isEqual = async () => {
      last = await this.statuses();
      return last.every((own) => own?.isActive && own.digest !== '' && isSame(own, last[0])) || describe(last);
    };
    await until(isEqual, timeoutMs, POLL_MS);
    return last[0] as OwnStatus;
  }

  /** All that a region shows, by List. */
  async dump(region: Region): Promise<EntryView[]> {
    const entries: EntryView[] = [];
    let afterKey = '';
    do {
      const page = await this.client(region).list({ afterKey, limit: PAGE_KEYS }, { timeoutMs: 10_000 });
      entries.push(...page.entries);
      afterKey = page.nextKey;
    } while (afterKey !== '');
    return entries;
  }

  /** The text of all logs of the sync services and brokers, beside the state, for a look. */
  async keepLogs(): Promise<void> {
    for (const region of REGIONS) {
      await writeFile(join(this.#directory, `${region}-sync.log`), this.sync(region).log);
      await writeFile(join(this.#directory, `${region}-broker.log`), this.brokers.of(region).log);
    }
  }

  async stop(): Promise<void> {
    for (const sync of this.#syncs.values()) sync.closeChannels();
    await Promise.all([...this.#syncs.values()].map((sync) => sync.stop('SIGKILL')));
    await this.brokers.stop();
  }
}

export function othersOf(region: Region): Region[] {
  return REGIONS.filter((other) => other !== region);
}

/** Ids that the writers left, by key; what the system writes itself is left out. */
export function shownIn(dump: readonly EntryView[], ledger: Ledger): Shown {
  const entries = dump.filter(({ key }) => key.startsWith('config/'));
  return new Map(entries.map((entry) => [entry.key, new Set(ledger.observe(entry))]));
}

/**
 * Of every byte of every live version, with its event, time and author: computed from what the API shows, not from what the
 * service says of itself. Deletions leave at different times and are no part of it.
 */
export function canonicalDigest(dump: readonly EntryView[]): string {
  const hash = createHash('sha256');
  for (const { key, versions, winner } of dump) {
    const live = versions.filter(({ deleted }) => !deleted);
    if (live.length === 0) continue;
    hash.update(JSON.stringify([key, winner === undefined ? '' : versions[winner]?.dot]));
    for (const { dot, hlc, author, value } of live)
      hash.update(JSON.stringify([dot, hlc, author, Buffer.from(value).toString('base64')]));
  }
  return hash.digest('hex').slice(0, 16);
}

/** Waits on the regions' own clock. */
export function pause(ms: number): Promise<void> {
  return systemClock.sleep(ms);
}

function isSame(a: OwnStatus, b: OwnStatus | undefined): boolean {
  return b !== undefined && a.digest === b.digest && a.vector.compare(b.vector) === 'equal';
}

function describe(all: readonly (OwnStatus | undefined)[]): string {
  const lines = all.map((own, i) =>
    own === undefined
      ? `${REGIONS[i]} does not answer`
      : `${own.region} ${own.isActive ? 'active' : 'not active'} ${own.digest} ${own.vector}`,
  );
  return lines.join('\n');
}
