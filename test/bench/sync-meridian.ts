import { median } from './report.ts';
import { type CatchUp, catchUp } from './sync-catch-up.ts';
import { REGIONS, SyncRegions } from './sync-regions.ts';
import { bytesIn, type Traffic, TrafficCapture } from './sync-traffic.ts';
import { visibilityBeyondDelayMs } from './sync-visibility.ts';
import type { Update } from './sync-workload.ts';

const ROUNDS = Number(process.env.ROUNDS ?? '3');

export interface SyncLoad {
  readonly batch: number;
  readonly updates: readonly Update[];
  /** Others to the same keys. */
  readonly again: (round: number) => readonly Update[];
  readonly paced: readonly Update[];
  /** Written while a region is cut off. */
  readonly missed: readonly Update[];
  /** One each to further keys. */
  readonly further: readonly Update[];
}

export interface MeridianFigures {
  /** Of one update at one replica, by part of the messages. `saved`: what deflate has taken off the payload. */
  readonly bytes: Readonly<Record<'subject' | 'headers' | 'payload' | 'saved', number>>;
  /** Of heartbeats, questions and answers in that time. */
  readonly otherBytes: number;
  /** Of deltas, by the name of the header. */
  readonly headers: Readonly<Record<string, number>>;
  /** What the leaf links carried for it: TLS, the brokers' own lines and pings included. */
  readonly linkBytes: number;
  readonly updatesPerMessage: number;
  readonly allSeeAllMs: number;
  /** Of the sync process, for one update at one replica. */
  readonly cpuMicros: number;
  readonly visibilityBeyondDelayMs: readonly number[];
  readonly catchUp: CatchUp;
  readonly memoryPerKeyBytes: number;
}

export async function measureMeridian(directory: string, load: SyncLoad): Promise<MeridianFigures> {
  const regions = await SyncRegions.start(directory);
  try {
    const traffic = await measureTraffic(regions, load);
    const times = await measureTimes(regions, load);
    const visible = await visibilityBeyondDelayMs(regions, load.paced);
    const caughtUp = await catchUp(regions, load.missed, load.batch);
    const memoryPerKeyBytes = await measureMemory(regions, load);
    return { ...traffic, ...times, visibilityBeyondDelayMs: visible, catchUp: caughtUp, memoryPerKeyBytes };
  } finally {
    await regions.stop();
  }
}

type TrafficFigures = Pick<MeridianFigures, 'bytes' | 'otherBytes' | 'headers' | 'linkBytes' | 'updatesPerMessage'>;

/** A round of its own, which also compiles the code: to be heard costs the brokers time. */
async function measureTraffic(regions: SyncRegions, { updates, batch }: SyncLoad): Promise<TrafficFigures> {
  const captures = await Promise.all(REGIONS.map((region) => TrafficCapture.start(regions.brokers.of(region))));
  const linkBytesBefore = linkBytesOf(regions);
  try {
    await regions.untilAllSeeAll(updates, batch);
  } finally {
    await Promise.all(captures.map((capture) => capture.stop()));
  }
  const receipts = updates.length * (REGIONS.length - 1);
  const each = (part: keyof Traffic) => captures.reduce((sum, { deltas }) => sum + deltas[part], 0) / receipts;
  const otherBytes = captures.reduce((sum, { total, deltas }) => sum + bytesIn(total) - bytesIn(deltas), 0) / receipts;
  const headers = new Map<string, number>();
  for (const { headerBytesByName } of captures)
    for (const [name, bytes] of headerBytesByName) headers.set(name, (headers.get(name) ?? 0) + bytes / receipts);
  print(captures);
  return {
    bytes: {
      subject: each('subjectBytes'),
      headers: each('headerBytes'),
      payload: each('payloadBytes'),
      saved: each('savedBytes'),
    },
    otherBytes,
    headers: Object.fromEntries(headers),
    linkBytes: (linkBytesOf(regions) - linkBytesBefore) / receipts,
    updatesPerMessage: 1 / each('messages'),
  };
}

function linkBytesOf({ brokers }: SyncRegions): number {
  return brokers.emulator.stats().reduce((sum, { bytesForward, bytesBack }) => sum + bytesForward + bytesBack, 0);
}

function print(captures: readonly TrafficCapture[]): void {
  for (const { region, byKind } of captures)
    for (const [kind, traffic] of byKind)
      process.stdout.write(`  ${region} took ${traffic.messages} × ${kind}, ${bytesIn(traffic)} bytes\n`);
}

async function measureTimes(
  regions: SyncRegions,
  { again, batch }: SyncLoad,
): Promise<Pick<MeridianFigures, 'allSeeAllMs' | 'cpuMicros'>> {
  const times: number[] = [];
  const cpus: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const updates = again(round);
    const before = await cpuMsOf(regions);
    times.push(await regions.untilAllSeeAll(updates, batch));
    cpus.push((1000 * ((await cpuMsOf(regions)) - before)) / updates.length / REGIONS.length);
  }
  return { allSeeAllMs: median(times), cpuMicros: median(cpus) };
}

async function cpuMsOf(regions: SyncRegions): Promise<number> {
  return (await regions.all({ kind: 'digest' })).reduce((sum, { cpuMs }) => sum + cpuMs, 0);
}

/** What the sync processes keep for a key that all of them hold. */
async function measureMemory(regions: SyncRegions, { further, batch }: SyncLoad): Promise<number> {
  const before = await regions.all({ kind: 'memory' });
  await regions.untilAllSeeAll(further, batch);
  const after = await regions.all({ kind: 'memory' });
  return median(after.map(({ bytes = 0 }, i) => (bytes - (before[i]?.bytes ?? 0)) / further.length));
}
