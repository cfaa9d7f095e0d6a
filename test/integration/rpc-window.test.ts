import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createAuthority, createIdentity } from '@meridian/certificates';
import { CollectorService } from '@meridian/contracts/collector';
import { LinkEmulator } from '@meridian/links';
import { createChannel, createClient, Outbox, windowBytes } from '@meridian/rpc';
import { RpcServer } from '@meridian/rpc/server';
import { createLogger, systemClock } from '@meridian/runtime';
import { startTelemetry } from '@meridian/runtime/service';

/**
 * Pictures over a long link. HTTP/2 stops a sender at the receiver's window until word comes back, so the window, not
 * the bandwidth, decides how many pictures a second pass. Both ends must raise it, each for what it receives; grpc-js
 * has no option for the server's.
 */
const ROUND_TRIP_MS = 100;
const BANDWIDTH_MBPS = 1000;
const PICTURE = new Uint8Array(110 * 1024).fill(7);
/** What HTTP/2 starts with. */
const DEFAULT_WINDOW_BYTES = 65_535;
/** 64 KiB for each round trip are less than six pictures of 110 KB a second. */
const PLAIN_RATE_MAX = 20;
const RATIO_MIN = 10;

const emulator = new LinkEmulator();
const closers: (() => unknown)[] = [];

beforeAll(() => expect(windowBytes(ROUND_TRIP_MS, BANDWIDTH_MBPS)).toBe(8 * 1024 * 1024));
afterAll(async () => {
  for (const close of closers.reverse()) await close();
  await emulator.close();
});

/** Arrivals per second, from the first to the last. */
class Meter {
  readonly #total: number;
  #arrived = 0;
  #firstMs = 0;
  readonly #done = Promise.withResolvers<number>();

  constructor(total: number) {
    this.#total = total;
  }

  arrival(): void {
    this.#arrived += 1;
    if (this.#arrived === 1) this.#firstMs = performance.now();
    if (this.#arrived < this.#total) return;
    this.#done.resolve((1000 * (this.#total - 1)) / (performance.now() - this.#firstMs));
  }

  get rate(): Promise<number> {
    return this.#done.promise;
  }
}

/** A server that sends `pictures` and measures those that come, with a channel to it through the link. */
async function open(name: string, bytes: number, pictures: number) {
  const authority = await createAuthority();
  const identity = (role: string) => createIdentity(authority, { role, region: 'beijing', name: 'one' });
  const received = new Meter(pictures);
  const server = new RpcServer({
    tls: await identity('scheduler'),
    windowBytes: bytes,
    logger: createLogger({ name: 'test', region: 'beijing', level: 'silent' }),
    clock: systemClock,
    tracer: startTelemetry({ service: 'test', region: 'beijing', replica: '1', sampleRatio: 0 }).tracer,
  });
  server.addService(
    CollectorService,
    { Attach: ['worker'] },
    {
      attach(requests) {
        const outbox = new Outbox<{ message: { case: 'picture'; value: { picture: Uint8Array } } }>();
        const sendAll = async () => {
          for (let n = 0; n < pictures; n += 1) {
            if (!outbox.push({ message: { case: 'picture', value: { picture: PICTURE } } })) await outbox.ready();
          }
        };
        const take = async () => {
          for await (const { message } of requests) {
            if (message.case === 'heartbeat') sendAll().catch(() => {});
            else received.arrival();
          }
          outbox.finish();
        };
        take().catch(() => {});
        return outbox;
      },
    },
  );
  const port = await server.listen('127.0.0.1:0');
  const route = await emulator.open({
    name,
    link: ['beijing', 'guangzhou'],
    target: { host: '127.0.0.1', port },
    oneWayDelayMs: ROUND_TRIP_MS / 2,
    bandwidthMbps: BANDWIDTH_MBPS,
  });
  const address = `127.0.0.1:${route.port}`;
  const channel = createChannel({ address, tls: await identity('worker'), windowBytes: bytes });
  closers.push(
    () => server.close(),
    () => channel.close(),
  );
  return { duplex: createClient(CollectorService, channel).openDuplex('attach'), received };
}

/** Pictures per second to the server and from it. */
async function rates(name: string, bytes: number, pictures: number): Promise<{ up: number; down: number }> {
  const { duplex, received } = await open(name, bytes, pictures);
  const result = { case: 'result' as const, value: { outcome: textOf(PICTURE) } };
  for (let n = 0; n < pictures; n += 1) if (!duplex.send({ message: result })) await duplex.ready();
  const up = await received.rate;
  const sent = new Meter(pictures);
  duplex.send({ message: { case: 'heartbeat', value: {} } });
  const reader = duplex.messages[Symbol.asyncIterator]();
  for (let n = 0; n < pictures; n += 1) {
    await reader.next();
    sent.arrival();
  }
  const down = await sent.rate;
  duplex.cancel();
  return { up, down };
}

/** Workers send no pictures; a result whose text is as long as one weighs the same. */
function textOf(picture: Uint8Array) {
  return { case: 'error' as const, value: { message: 'x'.repeat(picture.length) } };
}

describe(`110 KB messages over a round trip of ${ROUND_TRIP_MS} ms`, () => {
  test('pass at the rate of the link with its windows, and at a crawl with the default ones', async () => {
    const sized = await rates('sized', windowBytes(ROUND_TRIP_MS, BANDWIDTH_MBPS), 300);
    const plain = await rates('plain', DEFAULT_WINDOW_BYTES, 12);
    for (const way of ['up', 'down'] as const) {
      // The rate itself is a matter of the machine's load; what the windows change is not.
      expect(plain[way]).toBeLessThan(PLAIN_RATE_MAX);
      expect(sized[way] / plain[way]).toBeGreaterThan(RATIO_MIN);
    }
  });
});
