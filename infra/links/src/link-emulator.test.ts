import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { LinkEmulator } from './index.ts';

const LINK = ['beijing', 'shanghai'] as const;
const MBPS = 10_000;

let emulator: LinkEmulator;
let servers: Server[];
let sockets: Socket[];
beforeEach(() => {
  emulator = new LinkEmulator();
  servers = [];
  sockets = [];
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await emulator.close();
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
});

async function serve(onConnection: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    sockets.push(socket);
    onConnection(socket);
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const echo = () => serve((socket) => socket.pipe(socket));

async function dial(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}

async function open(port: number, o: { name?: string; oneWayDelayMs?: number; bandwidthMbps?: number } = {}) {
  const { name = 'beijing>shanghai:grpc', oneWayDelayMs = 0, bandwidthMbps = MBPS } = o;
  return emulator.open({ name, link: LINK, target: { host: '127.0.0.1', port }, oneWayDelayMs, bandwidthMbps });
}

/** Code of the error that ends the socket. `once` would take the error of another event for its own failure. */
async function failureOf(socket: Socket): Promise<string | undefined> {
  return new Promise((resolve) => socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code)));
}

function attempt(port: number): Socket {
  const socket = connect({ port, host: '127.0.0.1' });
  sockets.push(socket);
  return socket;
}

const closed = (socket: Socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()));

async function roundTripMs(socket: Socket): Promise<number> {
  const startMs = performance.now();
  socket.write('ping');
  await once(socket, 'data');
  return performance.now() - startMs;
}

async function digest(socket: Socket): Promise<{ sha256: string; bytes: number }> {
  const hash = createHash('sha256');
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => {
    hash.update(chunk);
    bytes += chunk.length;
  });
  await once(socket, 'end');
  return { sha256: hash.digest('hex'), bytes };
}

/** Resolves when the condition holds; polls, because sockets' buffers have no event for it. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((tick) => setTimeout(tick, 5));
}

describe('delay', () => {
  test('a connection costs one round trip to set up, each message one more', async () => {
    const { port } = await open(await echo(), { oneWayDelayMs: 25 });
    const startMs = performance.now();
    const socket = await dial(port);
    await roundTripMs(socket);
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(99);
    const samples: number[] = [];
    for (let i = 0; i < 10; i++) samples.push(await roundTripMs(socket));
    expect(Math.min(...samples)).toBeGreaterThanOrEqual(49);
    expect(Math.min(...samples)).toBeLessThan(60);
  });

  test('messages in flight do not wait for each other', async () => {
    const { port } = await open(await echo(), { oneWayDelayMs: 50 });
    const socket = await dial(port);
    await roundTripMs(socket);
    const startMs = performance.now();
    let received = 0;
    socket.on('data', (chunk: Buffer) => (received += chunk.length));
    for (let i = 0; i < 50; i++) {
      socket.write('x'.repeat(1000));
      await new Promise((tick) => setImmediate(tick));
    }
    await until(() => received === 50_000);
    expect(performance.now() - startMs).toBeLessThan(300);
  });
});

describe('throughput and order', () => {
  // A pipe that waited a round trip for each 64 KiB would need 77 s. How fast it is: `make bench ONLY=link`.
  test('carries 100 MB over 50 ms round trip without waiting for answers, every byte in its place', async () => {
    const received: Promise<{ sha256: string; bytes: number }>[] = [];
    const { port } = await open(await serve((socket) => received.push(digest(socket))), { oneWayDelayMs: 25 });
    const socket = await dial(port);
    const block = randomBytes(2 ** 20 + 17);
    const blocks = 96;
    const expected = createHash('sha256');
    for (let i = 0; i < blocks; i++) {
      expected.update(block);
      if (!socket.write(block)) await once(socket, 'drain');
    }
    socket.end();
    await until(() => received.length === 1);
    expect(await received[0]).toEqual({ sha256: expected.digest('hex'), bytes: blocks * block.length });
  }, 30_000);

  test('bandwidth is shared by the routes of a link, each direction its own', async () => {
    const target = await serve((socket) => void digest(socket).then(() => socket.end('done')));
    const one = await open(target, { name: 'beijing>shanghai:grpc', bandwidthMbps: 40 });
    const two = await open(target, { name: 'beijing>shanghai:nats', bandwidthMbps: 40 });
    const startMs = performance.now();
    await Promise.all(
      [one, two].map(async ({ port }) => {
        const socket = await dial(port);
        socket.end(randomBytes(500_000)); // 100 ms at 40 Mbit/s
        await once(socket, 'data');
      }),
    );
    const tookMs = performance.now() - startMs;
    expect(tookMs).toBeGreaterThanOrEqual(195);
  });

  test('half-close passes, and the other direction goes on', async () => {
    const { port } = await open(
      await serve((socket) => void digest(socket).then(({ bytes }) => socket.end(`got ${bytes}`))),
      { oneWayDelayMs: 5 },
    );
    const socket = await dial(port);
    socket.end('request');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toBe('got 7');
    await once(socket, 'close');
    await until(() => emulator.stats()[0]?.connections === 0);
  });
});

describe('back-pressure', () => {
  test('a receiver that does not read stops the sender; the buffer stays within its bound', async () => {
    const { port } = await open(await serve((socket) => socket.pause()), { oneWayDelayMs: 1, bandwidthMbps: 100 });
    const socket = await dial(port);
    const block = Buffer.alloc(2 ** 20);
    let written = 0;
    while (socket.write(block)) written++;
    let stalledAt = -1;
    const bound = 12_500 + 100 * 12_500 + 64 * 1024;
    await until(() => {
      const stats = emulator.stats()[0];
      expect(stats?.bufferedBytes).toBeLessThanOrEqual(bound + 2 ** 20);
      if (socket.writableLength === 0 && written < 64) {
        socket.write(block);
        written++;
      }
      const forward = stats?.bytesForward ?? 0;
      const stalled = forward === stalledAt && (stats?.bufferedBytes ?? 0) >= bound - 64 * 1024;
      stalledAt = forward;
      return stalled;
    });
    expect(written).toBeLessThan(64);
  });
});

describe('cut', () => {
  test('resets what is connected and what tries to connect; heal lets new ones through', async () => {
    const { port } = await open(await echo(), { oneWayDelayMs: 10 });
    const socket = await dial(port);
    await roundTripMs(socket);
    const far = sockets.find((candidate) => candidate !== socket);
    const farClosed = closed(far as Socket);
    emulator.cut('shanghai', 'beijing');
    expect(await failureOf(socket)).toBe('ECONNRESET');
    await farClosed;
    expect(await failureOf(attempt(port))).toBe('ECONNRESET');
    expect(emulator.stats()[0]).toMatchObject({
      status: 'cut',
      connections: 0,
      accepted: 1,
      refused: 1,
      bufferedBytes: 0,
    });
    emulator.heal('beijing', 'shanghai');
    expect(await roundTripMs(await dial(port))).toBeGreaterThan(0);
  });

  test('other links are not touched', async () => {
    const target = await echo();
    await open(target);
    const other = await emulator.open({
      ...{
        name: 'beijing>guangzhou:grpc',
        link: ['beijing', 'guangzhou'],
        target: { host: '127.0.0.1', port: target },
      },
      ...{ oneWayDelayMs: 1, bandwidthMbps: MBPS },
    });
    const socket = await dial(other.port);
    await roundTripMs(socket);
    emulator.cut(...LINK);
    expect(await roundTripMs(socket)).toBeGreaterThan(0);
    emulator.heal();
    expect(emulator.stats().map((stats) => stats.status)).toEqual(['up', 'up']);
  });
});

describe('black hole', () => {
  test('silence while it lasts, then every byte in order; connections stay', async () => {
    const { port } = await open(await echo(), { oneWayDelayMs: 5 });
    const socket = await dial(port);
    await roundTripMs(socket);
    let received = '';
    socket.on('data', (chunk: Buffer) => (received += chunk.toString()));
    socket.write('before ');
    emulator.blackhole(...LINK);
    for (let i = 0; i < 20; i++) socket.write(`${i} `);
    const held = await dial(port); // a SYN that is sent again until somebody answers
    const heldAnswer = roundTripMs(held);
    await until(() => (emulator.stats()[0]?.bytesForward ?? 0) > 60);
    await new Promise((tick) => setTimeout(tick, 100)); // silence has no event
    expect([received, held.bytesRead, socket.destroyed]).toEqual(['', 0, false]);
    const healedAtMs = performance.now();
    emulator.heal(...LINK);
    const expected = `before ${Array.from({ length: 20 }, (_, i) => `${i} `).join('')}`;
    await until(() => received === expected);
    expect(performance.now() - healedAtMs).toBeGreaterThanOrEqual(9);
    await heldAnswer;
    expect(emulator.stats()[0]).toMatchObject({ connections: 2, refused: 0 });
  });

  test('a reset on one side stays unknown on the other until it heals', async () => {
    const { port } = await open(await echo(), { oneWayDelayMs: 1 });
    const socket = await dial(port);
    await roundTripMs(socket);
    const far = sockets.find((candidate) => candidate !== socket) as Socket;
    emulator.blackhole(...LINK);
    socket.resetAndDestroy();
    await until(() => (emulator.stats()[0]?.connections ?? 0) === 1);
    await new Promise((tick) => setTimeout(tick, 50)); // silence has no event
    expect(far.destroyed).toBe(false);
    const farClosed = closed(far);
    emulator.heal();
    await farClosed;
    await until(() => emulator.stats()[0]?.connections === 0);
  });

  test('cut during a black hole drops what was held', async () => {
    const { port } = await open(await echo());
    const socket = await dial(port);
    await roundTripMs(socket);
    emulator.blackhole(...LINK);
    socket.write('lost');
    const failed = failureOf(socket);
    emulator.cut(...LINK);
    await failed;
    expect(emulator.stats()[0]?.bufferedBytes).toBe(0);
  });
});

describe('slow', () => {
  test('new delay from the next byte on, old one after heal', async () => {
    const { port } = await open(await echo(), { oneWayDelayMs: 1 });
    const socket = await dial(port);
    await roundTripMs(socket);
    emulator.slow(...LINK, { oneWayDelayMs: 60 });
    expect(await roundTripMs(socket)).toBeGreaterThanOrEqual(119);
    emulator.heal(...LINK);
    const samples: number[] = [];
    for (let i = 0; i < 5; i++) samples.push(await roundTripMs(socket));
    expect(Math.min(...samples)).toBeLessThan(60);
  });

  test('new bandwidth', async () => {
    const { port } = await open(await echo());
    const socket = await dial(port);
    await roundTripMs(socket);
    emulator.slow(...LINK, { bandwidthMbps: 8 });
    let received = 0;
    socket.on('data', (chunk: Buffer) => (received += chunk.length));
    const startMs = performance.now();
    socket.write(Buffer.alloc(100_000)); // 100 ms at 8 Mbit/s, and the echo overlaps
    await until(() => received === 100_000);
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(99);
  });
});

describe('ends', () => {
  test('a target that refuses, and one that dies, reach the dialler as a reset', async () => {
    const dead = await serve(() => {});
    await new Promise((closed) => servers.pop()?.close(closed));
    const { port } = await open(dead, { oneWayDelayMs: 5 });
    expect(await failureOf(attempt(port))).toBe('ECONNRESET');
    await until(() => emulator.stats()[0]?.connections === 0);
    const dying = await open(await serve((far) => far.once('data', () => far.resetAndDestroy())), { name: 'dying' });
    const second = await dial(dying.port);
    second.write('x');
    expect(await failureOf(second)).toBe('ECONNRESET');
  });

  test('closing a route resets its connections and gives its name and port back', async () => {
    const target = await echo();
    const { port, close } = await open(target);
    const socket = await dial(port);
    await roundTripMs(socket);
    const failed = failureOf(socket);
    await close();
    await failed;
    const again = await emulator.open({
      ...{ name: 'beijing>shanghai:grpc', link: LINK, target: { host: '127.0.0.1', port: target } },
      ...{ oneWayDelayMs: 0, bandwidthMbps: MBPS, listenPort: port },
    });
    expect(again.port).toBe(port);
    expect(await roundTripMs(await dial(port))).toBeGreaterThan(0);
  });

  test('misuse is named', async () => {
    const target = await echo();
    const { port } = await open(target);
    await expect(open(target)).rejects.toMatchObject({ reason: 'ROUTE_EXISTS' });
    await expect(open(target, { name: 'x', oneWayDelayMs: -1, bandwidthMbps: 0 })).rejects.toMatchObject({
      reason: 'CONDITIONS_INVALID',
      message: 'oneWayDelayMs must be 0 to 60000, not -1; bandwidthMbps must be over 0, not 0',
    });
    expect(() => emulator.cut('beijing', 'nowhere')).toThrow(expect.objectContaining({ reason: 'LINK_UNKNOWN' }));
    await expect(
      emulator.open({
        ...{ name: 'taken', link: LINK, target: { host: '127.0.0.1', port: target } },
        ...{ oneWayDelayMs: 0, bandwidthMbps: MBPS, listenPort: port },
      }),
    ).rejects.toMatchObject({ reason: 'PORT_UNAVAILABLE' });
    expect(emulator.stats()).toHaveLength(1);
  });
});
