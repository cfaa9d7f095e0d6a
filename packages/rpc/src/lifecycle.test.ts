import { connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { CollectorService } from '@meridian/contracts/collector';
import { RecognitionService } from '@meridian/contracts/recognition';
import { Failure } from '@meridian/failure';
import { type CallContext, createClient, Outbox, type RpcServer } from './index.ts';
import { addPartial, type Loopback, openLoopback } from './loopback.fixture.ts';

let loopback: Loopback;
let server: RpcServer;
/** Resolves with the context of the next call that reaches the server. */
let arrival: PromiseWithResolvers<CallContext>;
let gate: PromiseWithResolvers<void>;

beforeEach(async () => {
  loopback = await openLoopback();
  arrival = Promise.withResolvers();
  gate = Promise.withResolvers();
  server = await loopback.server();
  addPartial(server, RecognitionService, {
    async recognize(_request, context) {
      arrival.resolve(context);
      await gate.promise;
      return { versionVector: 'done' };
    },
    async *watchJob(_request, context) {
      arrival.resolve(context);
      for (let n = 1n; ; n += 1n) {
        yield { cursor: n };
        if (n === 3n) await aborted(context.signal);
        context.signal.throwIfAborted();
      }
    },
  });
  addPartial(server, CollectorService, {
    attach(requests, context) {
      arrival.resolve(context);
      const outbox = new Outbox<{ message: { case: 'pong'; value: { sequence: bigint } } }>();
      context.draining.addEventListener('abort', () => outbox.finish(), { once: true });
      void (async () => {
        for await (const _ of requests) outbox.push({ message: { case: 'pong', value: { sequence: 1n } } });
        outbox.finish();
      })().catch((thrown) => outbox.finish(Failure.from(thrown)));
      return outbox;
    },
  });
});
afterEach(async () => {
  gate.resolve();
  await loopback.close();
});

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

async function recognition(options: Parameters<Loopback['channel']>[2] = {}) {
  const channel = await loopback.channel(await server.listen('127.0.0.1:0'), 'client', options);
  return { client: createClient(RecognitionService, channel), channel };
}

describe('deadlines', () => {
  test('pass on the side of the caller, and the handler is told', async () => {
    const { client } = await recognition();
    // Long enough for a busy machine to connect: a call that ends before that never reaches the handler.
    await expect(client.recognize({}, { timeoutMs: 2_000 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    const context = await arrival.promise;
    await aborted(context.signal);
    // The caller's cancellation races the server's own timer.
    expect(['DEADLINE_EXCEEDED', 'CANCELLED']).toContain((context.signal.reason as Failure).code);
  });

  test('pass on the side of the server, though the caller says nothing more', async () => {
    const session = connectHttp2(`https://127.0.0.1:${await server.listen('127.0.0.1:0')}`, {
      ...(await loopback.identity('client')),
      checkServerIdentity: () => undefined,
    });
    const call = session.request({
      ':method': 'POST',
      ':path': '/meridian.recognition.v1.RecognitionService/Recognize',
      'content-type': 'application/grpc',
      'grpc-timeout': '100m',
    });
    call.end(Buffer.alloc(5)); // an empty request
    const context = await arrival.promise;
    await aborted(context.signal);
    expect(context.signal.reason).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    session.destroy();
  });

  test('the earlier bound holds; one that has passed fails without reaching a handler', async () => {
    const { client } = await recognition();
    const deadlineMs = Date.now() + 100;
    await expect(client.recognize({}, { timeoutMs: 60_000, deadlineMs })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    await expect(client.recognize({}, { deadlineMs: Date.now() - 1 })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
  });

  test('a unary call without a bound gets one', async () => {
    const { client } = await recognition();
    const answer = client.recognize({});
    const context = await arrival.promise;
    expect((context.deadlineMs ?? 0) - Date.now()).toBeGreaterThan(20_000);
    gate.resolve();
    await answer;
  });
});

describe('cancellation', () => {
  test('by the caller’s signal: its reason comes back, the handler hears of it', async () => {
    const { client } = await recognition();
    const abort = new AbortController();
    const answer = client.recognize({}, { signal: abort.signal });
    const context = await arrival.promise;
    abort.abort(new Failure('ABORTED', 'placed elsewhere'));
    await expect(answer).rejects.toMatchObject({ code: 'ABORTED', message: 'placed elsewhere' });
    await aborted(context.signal);
    expect(context.signal.reason).toMatchObject({ code: 'CANCELLED' });
  });

  test('a signal that is aborted already: no call is made', async () => {
    const { client } = await recognition();
    await expect(client.recognize({}, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  test('leaving the loop over a stream cancels it', async () => {
    const { client } = await recognition();
    for await (const _ of client.watchJob({})) break;
    await aborted((await arrival.promise).signal);
  });

  test('by the server: the stream ends with its failure', async () => {
    const { client } = await recognition();
    const reading = client.watchJob({}, { timeoutMs: 300 });
    const seen: bigint[] = [];
    await expect(
      (async () => {
        for await (const { cursor } of reading) seen.push(cursor);
      })(),
    ).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(seen).toEqual([1n, 2n, 3n]);
  });

  test('a signal has no listener left after its call', async () => {
    const { client } = await recognition();
    gate.resolve();
    const abort = new AbortController();
    let listeners = 0;
    const { addEventListener, removeEventListener } = abort.signal;
    abort.signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      listeners += 1;
      addEventListener.apply(abort.signal, args);
    };
    abort.signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      listeners -= 1;
      removeEventListener.apply(abort.signal, args);
    };
    for (let n = 0; n < 3; n += 1) await client.recognize({}, { signal: abort.signal });
    expect(listeners).toBe(0);
  });

  test('closing the channel ends its calls', async () => {
    const { client, channel } = await recognition();
    const answer = client.recognize({});
    await arrival.promise;
    channel.close();
    await expect(answer).rejects.toMatchObject({ code: 'CANCELLED' });
    await expect(client.recognize({})).rejects.toMatchObject({ code: 'UNAVAILABLE', reason: 'CHANNEL_CLOSED' });
  });
});

describe('drain', () => {
  test('lets open calls finish and takes no new ones', async () => {
    const { client, channel } = await recognition();
    const answer = client.recognize({});
    const context = await arrival.promise;
    const drained = server.drain(10_000);
    await aborted(context.draining);
    const late = createClient(RecognitionService, await loopback.channel(Number(channel.address.split(':')[1])));
    await expect(late.recognize({})).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    gate.resolve();
    expect(await answer).toMatchObject({ versionVector: 'done' });
    await drained;
  });

  test('ends what has not finished when the grace is over', async () => {
    const { client } = await recognition();
    const answer = client.recognize({});
    const context = await arrival.promise;
    await Promise.all([
      expect(answer).rejects.toMatchObject({ code: expect.stringMatching(/UNAVAILABLE|CANCELLED/) }),
      server.drain(50),
    ]);
    expect(context.signal.aborted).toBe(true);
  });

  test('an endless stream hears of it and ends well', async () => {
    const channel = await loopback.channel(await server.listen('127.0.0.1:0'), 'worker');
    const duplex = createClient(CollectorService, channel).openDuplex('attach');
    const messages = duplex.messages[Symbol.asyncIterator]();
    duplex.send({ message: { case: 'heartbeat', value: {} } });
    await messages.next();
    const drained = server.drain(10_000);
    expect(await messages.next()).toMatchObject({ done: true });
    await drained;
  });

  test('without calls it is over at once', async () => {
    await recognition();
    const startedMs = performance.now();
    await server.drain(10_000);
    expect(performance.now() - startedMs).toBeLessThan(2000);
  });
});

describe('links that fail', () => {
  test('a server that comes back is found by the next calls', async () => {
    const { client, channel } = await recognition();
    gate.resolve();
    await client.recognize({});
    await server.close();
    await expect(client.recognize({})).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    const again = await loopback.server();
    addPartial(again, RecognitionService, { recognize: async () => ({ versionVector: 'again' }) });
    await again.listen(channel.address);
    await expect(eventually(() => client.recognize({}))).resolves.toMatchObject({ versionVector: 'again' });
  });

  test('a connection that a black hole swallowed while it was made is given up, and so are the calls that wait', async () => {
    const held: Socket[] = [];
    let swallow = true;
    const port = await server.listen('127.0.0.1:0');
    const hole = createServer((socket) => {
      held.push(socket.on('error', () => {}));
      if (!swallow) relay(socket, port);
    });
    await new Promise<void>((resolve) => hole.listen(0, '127.0.0.1', resolve));
    const holePort = (hole.address() as { port: number }).port;
    const channel = await loopback.channel(holePort, 'client', { connectTimeoutMs: 300 });
    const client = createClient(RecognitionService, channel);
    await expect(client.recognize({})).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    swallow = false;
    gate.resolve();
    await expect(client.recognize({})).resolves.toMatchObject({ versionVector: 'done' });
    channel.close();
    for (const socket of held) socket.destroy();
    await new Promise((resolve) => hole.close(resolve));
  });

  test('a peer that falls silent is noticed by both ends', async () => {
    const quick = { keepaliveTimeMs: 200, keepaliveTimeoutMs: 300 };
    const silentServer = await loopback.server(quick);
    const served = Promise.withResolvers<CallContext>();
    addPartial(silentServer, RecognitionService, {
      async recognize(_request, context) {
        served.resolve(context);
        await aborted(context.signal);
        return {};
      },
    });
    const port = await silentServer.listen('127.0.0.1:0');
    const links: { cut: () => void }[] = [];
    const proxy = createServer((socket) => links.push(relay(socket, port)));
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const channel = await loopback.channel((proxy.address() as { port: number }).port, 'client', quick);
    const answer = createClient(RecognitionService, channel).recognize({});
    const context = await served.promise;
    for (const link of links) link.cut(); // both connections stay, nothing passes
    await expect(answer).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await aborted(context.signal);
    channel.close();
    await new Promise((resolve) => proxy.close(resolve));
  });
});

/** Joins a socket to a port; `cut` stops the bytes and keeps the connections. */
function relay(near: Socket, port: number): { cut: () => void } {
  const far = connectTcp(port, '127.0.0.1');
  const forward = (from: Socket, to: Socket) => {
    const onData = (bytes: Buffer) => void to.write(bytes);
    from.on('data', onData);
    from.on('error', () => {});
    from.on('close', () => to.destroy());
    return () => from.off('data', onData);
  };
  const stops = [forward(near, far), forward(far, near)];
  return {
    cut: () => {
      for (const stop of stops) stop();
    },
  };
}

/** Calls until it works; the test's own time limit is the bound. */
async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await attempt();
    } catch {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
