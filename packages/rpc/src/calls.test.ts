import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { actorId, VersionVector } from '@meridian/causality';
import { CollectorService } from '@meridian/contracts/collector';
import { RecognitionService } from '@meridian/contracts/recognition';
import { Failure } from '@meridian/failure';
import { traceparentOf } from '@meridian/runtime';
import { ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { type CallContext, type Channel, createClient, type DuplexOpener, Outbox, type RpcClient } from './index.ts';
import { addPartial, type Loopback, openLoopback } from './loopback.fixture.ts';

let loopback: Loopback;
let channel: Channel;
let recognition: RpcClient<typeof RecognitionService> & DuplexOpener<typeof RecognitionService>;
let collector: RpcClient<typeof CollectorService> & DuplexOpener<typeof CollectorService>;
let lastContext: CallContext | undefined;

beforeAll(async () => {
  loopback = await openLoopback();
  const server = await loopback.server();
  addPartial(server, RecognitionService, {
    async recognize(request, context) {
      lastContext = context;
      if (request.model === 'broken') throw new Error('secret path /etc/shadow');
      if (request.model === 'busy')
        throw new Failure('RESOURCE_EXHAUSTED', 'queue is full', {
          reason: 'OVERLOADED',
          retryDelayMs: 250,
          details: { queue: '12' },
        });
      return { versionVector: request.model, result: { taskId: String(request.picture.length) } };
    },
    async *watchJob(request) {
      for (let n = Number(request.cursor); n < 5; n += 1) yield { cursor: BigInt(n + 1) };
      if (request.jobId === 'fails') throw new Failure('NOT_FOUND', 'no such job', { reason: 'JOB_UNKNOWN' });
    },
    async submitJob(requests) {
      let bytes = 0;
      for await (const request of requests) if (request.part.case === 'chunk') bytes += request.part.value.length;
      return { jobId: String(bytes), accepted: true };
    },
    async *recognizeStream(requests) {
      for await (const request of requests) {
        yield { sequence: request.sequence };
        if (request.sequence === 99n) return;
      }
    },
  });
  addPartial(server, CollectorService, {
    attach(requests) {
      const outbox = new Outbox<{ message: { case: 'pong'; value: { sequence: bigint } } }>();
      void (async () => {
        for await (const request of requests) {
          const sequence = request.message.case === 'heartbeat' ? request.message.value.sequence : 0n;
          for (const part of [0n, 1n]) outbox.push({ message: { case: 'pong', value: { sequence: sequence + part } } });
        }
        outbox.finish();
      })().catch((thrown) => outbox.finish(Failure.from(thrown)));
      return outbox;
    },
  });
  channel = await loopback.channel(await server.listen('127.0.0.1:0'));
  recognition = createClient(RecognitionService, channel);
  collector = createClient(CollectorService, channel);
});
afterAll(() => loopback.close());

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of source) all.push(item);
  return all;
}

async function* items<T>(...all: T[]): AsyncGenerator<T> {
  yield* all;
}

describe('the four kinds of method', () => {
  test('unary', async () => {
    const response = await recognition.recognize({ model: 'm', picture: new Uint8Array(3) });
    expect(response).toMatchObject({ versionVector: 'm', result: { taskId: '3' } });
  });

  test('server streaming, in order and whole', async () => {
    const cursors = (await collect(recognition.watchJob({ jobId: 'j', cursor: 2n }))).map(({ cursor }) => cursor);
    expect(cursors).toEqual([3n, 4n, 5n]);
  });

  test('client streaming', async () => {
    const chunk = (bytes: number) => ({ part: { case: 'chunk' as const, value: new Uint8Array(bytes) } });
    expect(await recognition.submitJob(items(chunk(10), chunk(20), chunk(12)))).toMatchObject({ jobId: '42' });
    expect(await recognition.submitJob(items())).toMatchObject({ jobId: '0' });
  });

  test('bidi, from an iterable', async () => {
    const answers = await collect(recognition.recognizeStream(items({ sequence: 1n }, { sequence: 2n })));
    expect(answers.map(({ sequence }) => sequence)).toEqual([1n, 2n]);
  });

  test('bidi, from an outbox', async () => {
    const outbox = new Outbox<{ sequence: bigint }>();
    outbox.push({ sequence: 1n });
    const seen: bigint[] = [];
    for await (const { sequence } of recognition.recognizeStream(outbox)) {
      seen.push(sequence);
      if (sequence < 5n) outbox.push({ sequence: sequence + 1n });
      else outbox.finish();
    }
    expect(seen).toEqual([1n, 2n, 3n, 4n, 5n]);
  });

  test('bidi, as a duplex that outlives its requests', async () => {
    const duplex = collector.openDuplex('attach');
    expect(duplex.send({ message: { case: 'heartbeat', value: { sequence: 10n } } })).toBe(true);
    duplex.send({ message: { case: 'heartbeat', value: { sequence: 20n } } });
    duplex.end();
    const answers = await collect(duplex.messages);
    expect(answers.map(({ message }) => message.case === 'pong' && message.value.sequence)).toEqual([
      10n,
      11n,
      20n,
      21n,
    ]);
    expect(duplex.send({ message: { case: 'heartbeat', value: { sequence: 30n } } })).toBe(false);
  });

  test('a handler may answer before it has read everything', async () => {
    const endless = async function* () {
      for (let n = 98n; ; n += 1n) yield { sequence: n };
    };
    const answers = await collect(recognition.recognizeStream(endless()));
    expect(answers.map(({ sequence }) => sequence)).toEqual([98n, 99n]);
  });
});

describe('failures', () => {
  test('come back as they were thrown', async () => {
    await expect(recognition.recognize({ model: 'busy' })).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      message: 'queue is full',
      reason: 'OVERLOADED',
      retryDelayMs: 250,
      details: { queue: '12' },
      retryable: true,
    });
  });

  test('anything else is INTERNAL and says nothing', async () => {
    const failure = await recognition.recognize({ model: 'broken' }).catch((thrown: Failure) => thrown);
    expect(failure).toMatchObject({ code: 'INTERNAL' });
    expect(JSON.stringify(failure) + (failure as Failure).message).not.toContain('secret');
  });

  test('a stream delivers what came before', async () => {
    const seen: bigint[] = [];
    const reading = (async () => {
      for await (const { cursor } of recognition.watchJob({ jobId: 'fails', cursor: 3n })) seen.push(cursor);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'JOB_UNKNOWN' });
    expect(seen).toEqual([4n, 5n]);
  });

  test('a source of requests that throws ends the call with what it threw', async () => {
    const source = async function* () {
      yield { sequence: 1n };
      throw new Failure('ABORTED', 'source broke');
    };
    await expect(collect(recognition.recognizeStream(source()))).rejects.toMatchObject({ code: 'ABORTED' });
  });

  test('a message over the limit fails at once, at the sender', async () => {
    const picture = new Uint8Array(18 * 1024 * 1024);
    await expect(recognition.recognize({ picture })).rejects.toMatchObject({ reason: 'MESSAGE_TOO_LARGE' });
  });

  test('a picture of the largest size passes', async () => {
    const picture = new Uint8Array(16 * 1024 * 1024);
    expect(await recognition.recognize({ picture })).toMatchObject({ result: { taskId: String(picture.length) } });
  });

  test('a request that is no message is INVALID_ARGUMENT', async () => {
    const call = channel.open('/meridian.recognition.v1.RecognitionService/Recognize', Number.POSITIVE_INFINITY);
    const { Metadata } = await import('@grpc/grpc-js');
    const code = await new Promise<number>((resolve) => {
      call.start(new Metadata(), {
        onReceiveMetadata: () => {},
        onReceiveMessage: () => {},
        onReceiveStatus: (status) => resolve(status.code),
      });
      call.sendMessageWithContext({}, Buffer.from([0xff, 0xff, 0xff]));
      call.halfClose();
    });
    expect(code).toBe(3);
  });
});

describe('what travels beside the messages', () => {
  test('the peer, the cause, the deadline and free metadata reach the handler', async () => {
    const vector = VersionVector.of([[actorId('beijing', 7n), 3]]);
    const deadlineMs = Date.now() + 60_000;
    await recognition.recognize({}, { cause: { id: 'a.b.c.1', vector }, deadlineMs, metadata: { 'x-test': 'yes' } });
    expect(lastContext?.peer).toEqual({ role: 'client', region: 'beijing', name: 'one' });
    expect(lastContext?.cause?.id).toBe('a.b.c.1');
    expect(lastContext?.cause?.vector.toString()).toBe(vector.toString());
    expect(lastContext?.metadata.get('x-test')).toBe('yes');
    expect([...(lastContext?.metadata.keys() ?? [])].filter((name) => name.startsWith('meridian-'))).toEqual([]);
    expect(Math.abs((lastContext?.deadlineMs ?? 0) - deadlineMs)).toBeLessThan(1000);
    expect(lastContext?.signal.aborted).toBe(false);
  });

  test('a cause that cannot be read is refused', async () => {
    const metadata = { 'meridian-causationid': 'a', 'meridian-versionvector': 'nonsense' };
    await expect(recognition.recognize({}, { metadata })).rejects.toMatchObject({ reason: 'CAUSE_INVALID' });
  });

  test('the server span is a child of the caller’s, and the handler’s context holds it', async () => {
    const caller = loopback.telemetry.tracer.startSpan('caller', {}, ROOT_CONTEXT);
    await recognition.recognize({}, { traceContext: trace.setSpan(ROOT_CONTEXT, caller) });
    const { traceId, spanId } = caller.spanContext();
    const span = loopback.telemetry.spanStore.byTrace(traceId).at(-1);
    expect(span).toMatchObject({ name: 'meridian.recognition.v1.RecognitionService/Recognize', parentSpanId: spanId });
    expect(span?.attributes['meridian.peer']).toBe('beijing/client/one');
    expect(lastContext && traceparentOf(lastContext.traceContext)).toContain(`${traceId}-${span?.spanId}`);
  });
});
