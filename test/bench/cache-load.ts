/**
 * The load generator of the cache's bench: for each message with an address, the calls `Recognize` that several lanes get
 * answered in the given time, each lane one after the other, with pictures that the bench has written. It answers with the
 * calls' number, times and processor time. Started by cache.ts with an IPC channel, with the flags of a service.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RecognitionService } from '@meridian/contracts/recognition';
import { createChannel, createClient, loadTls } from '@meridian/rpc';
import { systemClock } from '@meridian/runtime';

export interface LoadOrder {
  readonly port: number;
  readonly lanes: number;
  readonly forMs: number;
  readonly wantsCached: boolean;
}

export interface LoadCost {
  readonly calls: number;
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly timesMs: readonly number[];
}

const WINDOW_BYTES = 2 ** 20;
const TIMEOUT_MS = 60_000;
const [certificates = '', folder = ''] = process.argv.slice(2);
const tls = await loadTls(certificates);
const names = (await readdir(folder)).filter((name) => name.endsWith('.jpg')).sort();
const pictures = await Promise.all(names.map((name) => readFile(join(folder, name))));
const clients = new Map<number, ReturnType<typeof connect>>();

function connect(port: number) {
  return createClient(
    RecognitionService,
    createChannel({ address: `127.0.0.1:${port}`, tls, windowBytes: WINDOW_BYTES }),
  );
}

async function run({ port, lanes, forMs, wantsCached }: LoadOrder): Promise<LoadCost> {
  const client = clients.get(port) ?? connect(port);
  clients.set(port, client);
  const timesMs: number[] = [];
  const before = process.cpuUsage();
  const startedMs = systemClock.monotonicMs();
  const lane = async (number: number): Promise<void> => {
    for (let i = number, nowMs = startedMs; nowMs < startedMs + forMs; i++) {
      const picture = pictures[i % pictures.length] as Buffer;
      const { result } = await client.recognize({ picture }, { timeoutMs: TIMEOUT_MS });
      const endedMs = systemClock.monotonicMs();
      timesMs.push(endedMs - nowMs);
      nowMs = endedMs;
      if (result?.outcome.case !== 'recognition') throw new Error('no recognition');
      if (wantsCached && result.fromCache === undefined) throw new Error('not from the cache');
    }
  };
  await Promise.all(Array.from({ length: lanes }, (_, number) => lane(number)));
  const { user, system } = process.cpuUsage(before);
  const wallMs = systemClock.monotonicMs() - startedMs;
  return { calls: timesMs.length, wallMs, cpuMs: (user + system) / 1000, timesMs };
}

process.on('message', async (order: LoadOrder) => {
  process.send?.(await run(order));
});
process.send?.({ ready: true });
