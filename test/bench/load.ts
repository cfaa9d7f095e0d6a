/**
 * The load generator: a client that sends every picture of a folder once, 8 in flight, over one RecognizeStream or in a
 * Recognize call each. Started by path.ts with an IPC channel; runs one round for each message, which names the method,
 * and answers with its CPU time. It runs as services do, with their flags.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  RecognitionService,
  type RecognizeStreamRequestSchema,
  type TaskResult,
} from '@meridian/contracts/recognition';
import { createChannel, createClient, loadTls, Outbox } from '@meridian/rpc';
import { systemClock } from '@meridian/runtime';

const IN_FLIGHT = 8;
const TIMEOUT_MS = 120_000;
const WINDOW_BYTES = 2 ** 20;
const [certificates = '', address = '', model = '', folder = '', count = '0'] = process.argv.slice(2);
const channel = createChannel({ address, tls: await loadTls(certificates), windowBytes: WINDOW_BYTES });
const client = createClient(RecognitionService, channel);
const pictures = await Promise.all(Array.from({ length: Number(count) }, (_, i) => readFile(join(folder, `${i}.jpg`))));

async function oneStream(): Promise<void> {
  const requests = new Outbox<MessageInitShape<typeof RecognizeStreamRequestSchema>>();
  const send = (index: number) =>
    requests.push({ sequence: BigInt(index), request: { picture: pictures[index] as Buffer, model } });
  let next = 0;
  let answered = 0;
  while (next < IN_FLIGHT) send(next++);
  for await (const { sequence, result } of client.recognizeStream(requests, { timeoutMs: TIMEOUT_MS })) {
    requireRecognition(`${sequence}`, result);
    answered += 1;
    if (next < pictures.length) send(next++);
    else if (answered === pictures.length) requests.finish();
  }
}

async function singleCalls(): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < pictures.length; index = next++) {
      const picture = pictures[index] as Buffer;
      const { result } = await client.recognize({ picture, model }, { timeoutMs: TIMEOUT_MS });
      requireRecognition(`${index}`, result);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
}

function requireRecognition(picture: string, result: TaskResult | undefined): void {
  if (result?.outcome.case !== 'recognition') throw new Error(`picture ${picture}: no recognition`);
}

const METHODS = { stream: oneStream, calls: singleCalls };

process.on('message', async ({ method }: { method: keyof typeof METHODS }) => {
  const before = process.cpuUsage();
  const startedMs = systemClock.monotonicMs();
  await METHODS[method]();
  const { user, system } = process.cpuUsage(before);
  process.send?.({ cpuMs: (user + system) / 1000, wallMs: systemClock.monotonicMs() - startedMs });
});
process.send?.({ ready: true });
