import { LinkEmulator } from '@meridian/links';
import { freePort } from '@meridian/local';

/** One way, from the first region: as in the topology of the three. */
export const REPLICAS = [
  { name: 'shanghai', oneWayDelayMs: 25 },
  { name: 'guangzhou', oneWayDelayMs: 50 },
] as const;
const PRIMARY = 'beijing';
const BANDWIDTH_MBPS = 1000;

/** Emulated links from two replicas to a primary: for peers that know one writer only. */
export class Star {
  readonly #emulator = new LinkEmulator();

  /** @returns the port on which a replica finds the primary's */
  async open(replica: (typeof REPLICAS)[number], port: number): Promise<number> {
    const { name, oneWayDelayMs } = replica;
    const route = await this.#emulator.open({
      ...{ name: `${name}>${PRIMARY}`, link: [name, PRIMARY], target: { host: '127.0.0.1', port } },
      ...{ oneWayDelayMs, bandwidthMbps: BANDWIDTH_MBPS, listenPort: await freePort() },
    });
    return route.port;
  }

  /** That all replicas together got from the primary: every byte of the connections. */
  get bytesToReplicas(): number {
    return this.#emulator.stats().reduce((sum, { bytesBack }) => sum + bytesBack, 0);
  }

  close(): Promise<void> {
    return this.#emulator.close();
  }
}

/** What a peer that has one writer shows for the same writes. */
export interface StarFigures {
  readonly bytesPerUpdate: number;
  readonly allSeeAllMs: number;
  /** Of the primary, where it tells. */
  readonly memoryPerKeyBytes?: number;
}
