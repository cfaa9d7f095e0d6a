import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { LinkEmulator } from '@meridian/links';
import { freePort } from '@meridian/local';
import { linkOf } from '@meridian/topology';
import { median } from './report.ts';
import { sharedMs } from './sync-order.ts';
import type { SyncRegions } from './sync-regions.ts';
import { type Exchange, TrafficCapture } from './sync-traffic.ts';
import { dealt, type Update } from './sync-workload.ts';

const CUT_OFF = 'guangzhou';
const OTHERS = ['beijing', 'shanghai'] as const;
const BARE_ROUNDS = 3;

export interface CatchUp {
  /** From the first question that was answered after the heal to everything being readable. */
  readonly totalMs: number;
  /** A bare question and answer of as many bytes, on an open connection over the same link. */
  readonly idealMs: number;
  /** Of that peer's answers: subject, headers and payload. */
  readonly bytes: number;
  /** The same of all peers: both are asked, and neither knows what the other answers. */
  readonly bytesOfAll: number;
  readonly missing: number;
  /** From the heal to all brokers having found each other, and to that question. */
  readonly untilLinkedMs: number;
  readonly untilAskedMs: number;
  readonly untilAnsweredMs: number;
}

/** One region is cut off while the two others write; then the links heal. */
export async function catchUp(regions: SyncRegions, updates: readonly Update[], batch: number): Promise<CatchUp> {
  const { emulator } = regions.brokers;
  for (const other of OTHERS) emulator.cut(other, CUT_OFF);
  const shares = dealt(updates, OTHERS.length);
  const written = await Promise.all(
    OTHERS.map((region, i) => regions.order(region, { kind: 'write', updates: shares[i] ?? [], batch })),
  );
  const capture = await TrafficCapture.start(regions.brokers.of(CUT_OFF));
  try {
    const healedMs = sharedMs();
    emulator.heal();
    const linked = regions.brokers.connected().then(sharedMs);
    const visibleMs = await regions.untilCovered(written);
    const first = firstAnswered(capture);
    const answers = capture.exchanges.filter(({ peer, askedMs }) => peer === first.peer && askedMs < visibleMs);
    const bytes = answerBytesOf(answers);
    return {
      totalMs: visibleMs - first.askedMs,
      idealMs: await bareTransferMs(regions, first.peer, bytes),
      bytes,
      bytesOfAll: answerBytesOf(capture.exchanges),
      missing: new Set(updates.map(({ key }) => key)).size,
      untilLinkedMs: (await linked) - healedMs,
      untilAskedMs: first.askedMs - healedMs,
      untilAnsweredMs: first.answeredMs - first.askedMs,
    };
  } finally {
    await capture.stop();
  }
}

function answerBytesOf(exchanges: readonly Exchange[]): number {
  return exchanges.reduce((sum, { answerBytes }) => sum + answerBytes, 0);
}

/** Of those that brought something. */
function firstAnswered({ exchanges }: TrafficCapture): Exchange {
  const most = Math.max(...exchanges.map(({ answerBytes }) => answerBytes));
  const [first] = exchanges.filter(({ answerBytes }) => answerBytes * 2 > most).sort((a, b) => a.askedMs - b.askedMs);
  if (first === undefined) throw new Error('nothing was fetched after the heal');
  return first;
}

/** Median of some: a byte to the peer, as many bytes back as the answers had. */
async function bareTransferMs({ brokers }: SyncRegions, peer: string, bytes: number): Promise<number> {
  const answer = Buffer.alloc(bytes, 1);
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => undefined);
    socket.on('data', () => socket.write(answer));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const link = linkOf(brokers.topology, CUT_OFF, peer);
  const route = await openRoute(brokers.emulator, peer, port, link);
  const socket = connect({ port: route.port, host: '127.0.0.1', noDelay: true });
  try {
    await once(socket, 'connect');
    await askBare(socket, bytes); // the emulator dials the target a round trip late
    const times: number[] = [];
    for (let round = 0; round < BARE_ROUNDS; round++) times.push(await askBare(socket, bytes));
    return median(times);
  } finally {
    socket.destroy();
    server.close();
    await route.close();
  }
}

async function openRoute(
  emulator: LinkEmulator,
  peer: string,
  port: number,
  { roundTripMs, bandwidthMbps }: { readonly roundTripMs: number; readonly bandwidthMbps: number },
): Promise<{ port: number; close(): Promise<void> }> {
  return emulator.open({
    ...{ name: `${CUT_OFF}>${peer}:bare`, link: [CUT_OFF, peer], target: { host: '127.0.0.1', port } },
    ...{ oneWayDelayMs: roundTripMs / 2, bandwidthMbps, listenPort: await freePort() },
  });
}

async function askBare(socket: Socket, bytes: number): Promise<number> {
  const startMs = sharedMs();
  socket.write('?');
  let received = 0;
  while (received < bytes) received += ((await once(socket, 'data'))[0] as Buffer).length;
  return sharedMs() - startMs;
}
