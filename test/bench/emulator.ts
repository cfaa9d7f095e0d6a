import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { LinkEmulator } from '@meridian/links';
import { systemClock } from '@meridian/runtime';
import { median, type Row } from './report.ts';

const ONE_WAY_DELAY_MS = 25;
const BANDWIDTH_MBPS = 10_000;
const BYTES = 192 * 2 ** 20;
const ROUNDS = 3;

/** What the emulator itself carries: the figures of the others mean something only where it is not their limit. */
export async function emulatorRow(): Promise<Row> {
  const emulator = new LinkEmulator();
  const server = createServer((socket) => {
    let received = 0;
    socket.on('error', () => {}); // a dialler that leaves ends its own connection only
    socket.on('data', (chunk) => {
      received += chunk.length;
      if (received === BYTES) socket.end('all');
    });
  });
  try {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const target = { host: '127.0.0.1', port };
    const common = { name: 'beijing>shanghai:grpc', link: ['beijing', 'shanghai'] as const, target };
    const route = await emulator.open({ ...common, oneWayDelayMs: ONE_WAY_DELAY_MS, bandwidthMbps: BANDWIDTH_MBPS });
    const [bare, emulated]: [number[], number[]] = [[], []];
    for (let round = 0; round < ROUNDS; round++) {
      bare.push(await megabytesPerSecond(port));
      emulated.push(await megabytesPerSecond(route.port));
    }
    return {
      metric: 'emulator_megabytes_per_second',
      value: median(emulated),
      unit: 'MB/s',
      goal: '>= 50',
      peers: { 'round trip ms': 2 * ONE_WAY_DELAY_MS, 'bare loopback': median(bare) },
    };
  } finally {
    server.close();
    await emulator.close();
  }
}

async function megabytesPerSecond(port: number): Promise<number> {
  const socket = connect({ port, host: '127.0.0.1' });
  await once(socket, 'connect');
  const startMs = systemClock.monotonicMs();
  const block = Buffer.alloc(2 ** 20);
  for (let sent = 0; sent < BYTES; sent += block.length) if (!socket.write(block)) await once(socket, 'drain');
  await once(socket, 'data');
  const tookMs = systemClock.monotonicMs() - startMs;
  socket.destroy();
  return BYTES / 1000 / tookMs;
}
