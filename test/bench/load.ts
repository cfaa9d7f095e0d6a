/**
 * The load generator: a client that sends every picture of a folder once, 8 in flight. Started by path.ts with an IPC
 * channel; runs one round for each message and answers with its CPU time. It runs as services do, with their flags.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RecognitionService } from '@meridian/contracts/recognition';
import { createChannel, createClient, loadTls } from '@meridian/rpc';
import { systemClock } from '@meridian/runtime';

const IN_FLIGHT = 8;
const TIMEOUT_MS = 30_000;
const WINDOW_BYTES = 2 ** 20;
const [certificates = '', address = '', model = '', folder = '', count = '0'] = process.argv.slice(2);
const channel = createChannel({ address, tls: await loadTls(certificates), windowBytes: WINDOW_BYTES });
const client = createClient(RecognitionService, channel);
const pictures = await Promise.all(Array.from({ length: Number(count) }, (_, i) => readFile(join(folder, `${i}.jpg`))));

process.on('message', async () => {
  const before = process.cpuUsage();
  const startedMs = systemClock.monotonicMs();
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let picture = pictures[next++]; picture !== undefined; picture = pictures[next++]) {
      const { result } = await client.recognize({ picture, model }, { timeoutMs: TIMEOUT_MS });
      if (result?.outcome.case !== 'recognition') throw new Error(`picture ${next - 1}: no recognition`);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  const { user, system } = process.cpuUsage(before);
  process.send?.({ cpuMs: (user + system) / 1000, wallMs: systemClock.monotonicMs() - startedMs });
});
process.send?.({ ready: true });
