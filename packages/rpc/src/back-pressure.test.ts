import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { CollectorService } from '@meridian/contracts/collector';
import { RecognitionService } from '@meridian/contracts/recognition';
import { Failure } from '@meridian/failure';
import { type Channel, createClient, Outbox } from './index.ts';
import { addPartial, type Loopback, openLoopback } from './loopback.fixture.ts';

const WINDOW_BYTES = 1024 * 1024;
const PICTURE = new Uint8Array(110 * 1024);
/** Window, read-ahead, send buffer and grpc-js's own buffers, with room to spare; far below what is offered. */
const HELD_BYTES_MAX = 8 * 1024 * 1024;
const OFFERED = 400; // 45 MB

let loopback: Loopback;
let channel: Channel;
let gate = Promise.withResolvers<void>();
let produced = 0;

beforeAll(async () => {
  loopback = await openLoopback();
  const server = await loopback.server({ windowBytes: WINDOW_BYTES });
  addPartial(server, RecognitionService, {
    async *recognizeStream(requests) {
      for await (const request of requests) {
        await gate.promise;
        yield { sequence: request.sequence };
      }
    },
    async *watchJob() {
      for (produced = 0; produced < OFFERED; produced += 1) {
        yield { update: { case: 'result' as const, value: { pictureDigest: PICTURE } } };
      }
    },
  });
  addPartial(server, CollectorService, {
    attach(requests) {
      const outbox = new Outbox<{ message: { case: 'picture'; value: { picture: Uint8Array } } }>();
      void (async () => {
        for await (const _ of requests) break;
        for (produced = 0; produced < OFFERED; produced += 1) {
          if (!outbox.push({ message: { case: 'picture', value: { picture: PICTURE } } })) await outbox.ready();
        }
        outbox.finish();
      })().catch((thrown) => outbox.finish(Failure.from(thrown)));
      return outbox;
    },
  });
  channel = await loopback.channel(await server.listen('127.0.0.1:0'), 'worker', { windowBytes: WINDOW_BYTES });
});
afterAll(() => loopback.close());

/** Resolves when the number has not changed for a while: the producer is held up. */
async function settled(read: () => number): Promise<number> {
  let last = -1;
  let same = 0;
  while (same < 20) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    const now = read();
    same = now === last && now > 0 ? same + 1 : 0;
    last = now;
  }
  return last;
}

async function count(messages: AsyncIterable<unknown>): Promise<number> {
  let n = 0;
  for await (const _ of messages) n += 1;
  return n;
}

describe('a reader that does not read holds the other side up', () => {
  test('requests: a slow handler', async () => {
    gate = Promise.withResolvers();
    let offered = 0;
    const source = async function* () {
      for (; offered < OFFERED; offered += 1) yield { sequence: BigInt(offered), request: { picture: PICTURE } };
    };
    const answers = createClient(RecognitionService, channel).recognizeStream(source());
    expect((await settled(() => offered)) * PICTURE.length).toBeLessThan(HELD_BYTES_MAX);
    gate.resolve();
    expect(await count(answers)).toBe(OFFERED);
  });

  test('requests: a duplex says so before memory does', async () => {
    gate = Promise.withResolvers();
    const duplex = createClient(RecognitionService, channel).openDuplex('recognizeStream');
    let accepted = 0;
    for (; accepted < OFFERED; accepted += 1) {
      if (!duplex.send({ request: { picture: PICTURE } })) break;
    }
    expect(accepted * PICTURE.length).toBeLessThan(HELD_BYTES_MAX);
    gate.resolve();
    await duplex.ready();
    duplex.end();
    expect(await count(duplex.messages)).toBe(accepted + 1);
  });

  test('responses of a generator: a slow caller', async () => {
    const messages = createClient(RecognitionService, channel).watchJob({});
    const reader = messages[Symbol.asyncIterator]();
    await reader.next();
    expect((await settled(() => produced)) * PICTURE.length).toBeLessThan(HELD_BYTES_MAX);
    expect(1 + (await count(messages))).toBe(OFFERED);
  });

  test('responses of an outbox: a slow caller', async () => {
    const duplex = createClient(CollectorService, channel).openDuplex('attach');
    duplex.send({ message: { case: 'heartbeat', value: {} } });
    expect((await settled(() => produced)) * PICTURE.length).toBeLessThan(HELD_BYTES_MAX);
    expect(await count(duplex.messages)).toBe(OFFERED);
  });

  test('a producer that does not heed it loses the call, not the process', async () => {
    gate = Promise.withResolvers();
    const duplex = createClient(RecognitionService, channel).openDuplex('recognizeStream');
    for (let n = 0; n < 2 * OFFERED; n += 1) duplex.send({ request: { picture: PICTURE } }); // 90 MB
    await expect(count(duplex.messages)).rejects.toMatchObject({ reason: 'SEND_BUFFER_FULL', retryable: true });
    gate.resolve();
  });

  test('a held-up stream does not hold up others of the same connection', async () => {
    gate = Promise.withResolvers();
    const client = createClient(RecognitionService, channel);
    const stuck = client.openDuplex('recognizeStream');
    while (stuck.send({ request: { picture: PICTURE } }));
    await expect(count(client.watchJob({}))).resolves.toBe(OFFERED);
    gate.resolve();
    stuck.cancel();
  });
});
