import { expect, test } from '@jest/globals';
import { type ActorId, actorId, compareTimestamps, VersionVector } from '@meridian/causality';
import { CAUSES_MAX, subject } from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import type { Incoming, Outgoing } from '@meridian/messaging';
import { contextFromTraceparent, traceparentOf } from '@meridian/runtime';
import { context } from '@opentelemetry/api';
import { ACTOR, type BusHarness, failed, KNOWLEDGE, OTHER_REGION, REGION, until } from './bus-harness.ts';

const TELEMETRY = subject('telemetry', { origin: REGION });
const PING = subject('ping', { target: REGION });
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

function load(outstanding: number): Outgoing<'meridian.telemetry.load.v1'> {
  return { type: 'meridian.telemetry.load.v1', data: { region: REGION, outstanding } };
}

/** Publish, subscribe, request and serve: at most once. */
export function coreContract(harness: () => BusHarness): void {
  test('every subscriber gets every event, in order, until it unsubscribes', async () => {
    const { bus } = await harness().open('scheduler');
    const { bus: other } = await harness().open('scheduler');
    const seen: Incoming<'meridian.telemetry.load.v1'>[] = [];
    const alsoSeen: number[] = [];
    const subscription = other.subscribe(subject('telemetry', { origin: '*' }), 'meridian.telemetry.load.v1', (m) =>
      seen.push(m),
    );
    other.subscribe(TELEMETRY, 'meridian.telemetry.load.v1', (m) => alsoSeen.push(m.data.outstanding));
    await settled(other);
    const envelopes = [1, 2, 3].map((n) => bus.publish(TELEMETRY, load(n)));
    await until(() => seen.length === 3 && alsoSeen.length === 3, 'both have all');
    expect(seen.map((m) => m.data.outstanding)).toEqual([1, 2, 3]);
    expect(alsoSeen).toEqual([1, 2, 3]);
    expect(seen.map((m) => m.envelope.id)).toEqual(envelopes.map((e) => e.id));
    expect(seen[0]?.subject).toBe(TELEMETRY);
    subscription.unsubscribe();
    bus.publish(TELEMETRY, load(4));
    await until(() => alsoSeen.length === 4, 'the other still gets it');
    expect(seen).toHaveLength(3);
  });

  test('an event carries its causes, the joined vector, tenant and trace; timestamps rise', async () => {
    const { bus } = await harness().open('scheduler');
    const seen: Incoming[] = [];
    bus.subscribe(TELEMETRY, 'meridian.telemetry.load.v1', (m) => seen.push(m));
    await settled(bus);
    const elsewhere: ActorId = actorId(OTHER_REGION, 9n);
    const causes = Array.from({ length: CAUSES_MAX + 4 }, (_, n) => ({
      id: `cause.${n}`,
      vector: VersionVector.of([[elsewhere, n + 1]]),
    }));
    const traceContext = contextFromTraceparent(TRACEPARENT);
    const first = bus.publish(TELEMETRY, { ...load(1), causes, tenant: 'acme', traceContext });
    context.with(traceContext, () => bus.publish(TELEMETRY, { ...load(2), causes: [first] }));
    await until(() => seen.length === 2, 'both arrive');
    const [one, two] = seen.map((m) => m.envelope);
    expect(one?.causes).toEqual(causes.slice(0, CAUSES_MAX).map((cause) => cause.id));
    expect(one?.vector.toString()).toBe(
      VersionVector.of([
        [ACTOR, KNOWLEDGE.counterOf(ACTOR)],
        [elsewhere, CAUSES_MAX + 4],
      ]).toString(),
    );
    expect(one?.tenant).toBe('acme');
    expect(one?.traceparent).toBe(TRACEPARENT);
    expect(one?.source).toBe(`/${REGION}/scheduler/1`);
    expect(two?.causes).toEqual([first.id]);
    expect(two?.vector.dominates(first.vector)).toBe(true);
    expect(two?.tenant).toBe('public');
    expect(one && two && compareTimestamps(one.hlc, two.hlc)).toBeLessThan(0);
  });

  test('a request is answered; the answer is caused by the request, in its trace', async () => {
    const { bus } = await harness().open('scheduler');
    const { bus: server } = await harness().open('scheduler');
    const requests: Incoming[] = [];
    let traceSeen: string | undefined;
    server.serve(PING, 'meridian.region.ping.v1', async (request) => {
      requests.push(request);
      traceSeen = traceparentOf(context.active());
      return { type: 'meridian.region.pong.v1', data: { region: REGION } };
    });
    await settled(server);
    const answer = await bus.request(PING, ping({ traceContext: contextFromTraceparent(TRACEPARENT) }), PONG, WAIT);
    expect(answer.type).toBe('meridian.region.pong.v1');
    expect(answer.data.region).toBe(REGION);
    expect(answer.envelope.causes).toEqual([requests[0]?.envelope.id]);
    expect(requests[0]?.envelope.traceparent).toBe(TRACEPARENT);
    // Without a context manager the active context is the root; with one it is the request's.
    expect([undefined, TRACEPARENT]).toContain(traceSeen);
  });

  test('replicas share requests: each is answered once', async () => {
    const { bus } = await harness().open('scheduler');
    let handled = 0;
    for (let replica = 0; replica < 2; replica++) {
      const { bus: server } = await harness().open('scheduler');
      server.serve(PING, 'meridian.region.ping.v1', async () => {
        handled++;
        return { type: 'meridian.region.pong.v1', data: {} };
      });
      await settled(server);
    }
    await Promise.all(Array.from({ length: 40 }, () => bus.request(PING, ping(), PONG, WAIT)));
    expect(handled).toBe(40);
  });

  test("the handler's failure reaches the asker as it is; an unknown error says nothing", async () => {
    const { bus } = await harness().open('scheduler');
    const failures: unknown[] = [
      new Failure('RESOURCE_EXHAUSTED', 'queue "full" – später', {
        reason: 'QUEUE_FULL',
        retryDelayMs: 70,
        details: { queue: 'hoch\r\nce-id: x' },
      }),
      new Failure('ABORTED', 'no', { retryable: false }),
      new TypeError('secret'),
    ];
    bus.serve(PING, 'meridian.region.ping.v1', async () => {
      throw failures.shift();
    });
    await settled(bus);
    const [full, aborted, unknown] = [
      await failed(bus.request(PING, ping(), PONG, WAIT)),
      await failed(bus.request(PING, ping(), PONG, WAIT)),
      await failed(bus.request(PING, ping(), PONG, WAIT)),
    ];
    expect(full).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'QUEUE_FULL',
      message: 'queue "full" – später',
      retryDelayMs: 70,
      retryable: true,
      details: { queue: 'hoch\r\nce-id: x' },
    });
    expect(aborted).toMatchObject({ code: 'ABORTED', reason: 'ABORTED', retryable: false });
    expect(unknown.code).toBe('INTERNAL');
    expect(unknown.message).not.toContain('secret');
  });

  test('a request ends by NO_RESPONDERS, NO_REPLY or CANCELLED', async () => {
    const { bus } = await harness().open('scheduler');
    const nobody = await failed(bus.request(PING, ping(), PONG, WAIT));
    expect(nobody).toMatchObject({ code: 'UNAVAILABLE', reason: 'NO_RESPONDERS' });
    let answer: () => void = () => undefined;
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    bus.serve(PING, 'meridian.region.ping.v1', async () => {
      await answered;
      return { type: 'meridian.region.pong.v1', data: {} };
    });
    await settled(bus);
    const late = await failed(bus.request(PING, ping(), PONG, { timeoutMs: 50 }));
    expect(late).toMatchObject({ code: 'DEADLINE_EXCEEDED', reason: 'NO_REPLY' });
    const abort = new AbortController();
    const cancelled = failed(bus.request(PING, ping(), PONG, { ...WAIT, signal: abort.signal }));
    abort.abort();
    expect((await cancelled).code).toBe('CANCELLED');
    expect((await failed(bus.request(PING, ping(), PONG, { ...WAIT, signal: abort.signal }))).code).toBe('CANCELLED');
    answer();
  });

  test('more requests at once than a server takes are refused at once; drain lets the others end', async () => {
    const { bus } = await harness().open('scheduler');
    const { bus: server } = await harness().open('scheduler');
    let running = 0;
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    server.serve(PING, 'meridian.region.ping.v1', async () => {
      running++;
      await released;
      return { type: 'meridian.region.pong.v1', data: {} };
    });
    await settled(server);
    const answers = Promise.allSettled(Array.from({ length: 300 }, () => bus.request(PING, ping(), PONG, WAIT)));
    await until(() => running === 256, 'as many as it takes');
    const drained = server.drain();
    release();
    await drained;
    const refused = (await answers).filter((answer) => answer.status === 'rejected');
    expect(refused.map((answer) => answer.reason.reason)).toEqual(Array(44).fill('SERVER_BUSY'));
    expect(await failed(bus.request(PING, ping(), PONG, WAIT))).toMatchObject({ reason: 'NO_RESPONDERS' });
  });
}

const PONG = 'meridian.region.pong.v1';
const WAIT = { timeoutMs: 5000 };

function ping(more: Partial<Outgoing> = {}): Outgoing<'meridian.region.ping.v1'> {
  return { type: 'meridian.region.ping.v1', data: {}, ...more } as Outgoing<'meridian.region.ping.v1'>;
}

/** The broker has seen what the bus sent before: any answered question shows it. */
async function settled(bus: { streamState(stream: 'JOBS'): Promise<unknown> }): Promise<void> {
  await bus.streamState('JOBS');
}
