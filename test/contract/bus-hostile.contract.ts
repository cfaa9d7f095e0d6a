import { expect, test } from '@jest/globals';
import { subject } from '@meridian/contracts';
import type { StoredPlace } from '@meridian/messaging';
import { seededRandom } from '@meridian/runtime';
import {
  type BusHarness,
  collect,
  failed,
  isDecodable,
  OTHER_REGION,
  type RawEvent,
  REGION,
  rawEvent,
  testEmitter,
  until,
} from './bus-harness.ts';

const TELEMETRY = subject('telemetry', { origin: REGION });
const QUEUE = subject('task', { target: REGION, class: 'normal', model: 'm' });
const PING = subject('ping', { target: REGION });
const INVALID = 'meridian.messaging.invalid';
const MUTATIONS = 3000;

/** Garbage, forged origins, wrong clocks and lost connections. */
export function hostileContract(harness: () => BusHarness): void {
  test(`${MUTATIONS} mutated messages stop nothing: the good ones between them arrive`, async () => {
    const { bus, records } = await harness().open('scheduler');
    const seen: number[] = [];
    bus.subscribe(TELEMETRY, 'meridian.telemetry.load.v1', (m) => seen.push(m.data.outstanding));
    let served = 0;
    bus.serve(PING, 'meridian.region.ping.v1', async () => {
      served++;
      return { type: 'meridian.region.pong.v1', data: {} };
    });
    await bus.streamState('JOBS');
    const random = seededRandom(20_240_611);
    let undecodable = 0;
    for (let n = 0; n < MUTATIONS; n++) {
      const subjectOf = n % 3 === 0 ? PING : TELEMETRY;
      const good = rawEvent(subjectOf, n % 3 === 0 ? 'meridian.region.ping.v1' : 'meridian.telemetry.load.v1', {});
      const bad = mutated(good, random);
      if (subjectOf === TELEMETRY && !isDecodable(bad)) undecodable++;
      await harness().inject(bad);
      if (n % 300 === 0)
        await harness().inject(rawEvent(TELEMETRY, 'meridian.telemetry.load.v1', { outstanding: 1e6 + n }));
    }
    await until(() => seen.filter((n) => n >= 1e6).length >= 10, 'the good ones arrive');
    expect(undecodable).toBeGreaterThan(MUTATIONS / 4);
    await until(() => records.count(INVALID) >= undecodable, 'each bad one is counted');
    await bus.request(PING, { type: 'meridian.region.ping.v1', data: {} }, 'meridian.region.pong.v1', {
      timeoutMs: 5000,
    });
    expect(served).toBeGreaterThan(0);
  });

  test('what is wrong is counted by its reason and dropped', async () => {
    const { bus, records } = await harness().open('scheduler');
    const seen: unknown[] = [];
    bus.subscribe(subject('telemetry', { origin: '*' }), 'meridian.telemetry.load.v1', (m) => seen.push(m));
    await bus.streamState('JOBS');
    const good = rawEvent(TELEMETRY, 'meridian.telemetry.load.v1', {});
    const future = testEmitter('stranger', REGION, () => Date.now() + 60_000);
    const elsewhere = testEmitter('stranger', OTHER_REGION);
    const cases: [reason: string, event: RawEvent][] = [
      ['ENVELOPE', { ...good, headers: good.headers.filter(([name]) => name !== 'ce-id') }],
      ['ENVELOPE', { ...good, headers: [] }],
      ['TYPE', rawEvent(TELEMETRY, 'meridian.region.ping.v1', {})],
      ['DATA', { ...good, data: Buffer.from([0xff, 0xff, 0xff]) }],
      ['SIZE', { ...good, data: new Uint8Array(4 * 2 ** 20 + 1) }],
      ['SOURCE', rawEvent(TELEMETRY, 'meridian.telemetry.load.v1', {}, elsewhere)],
      ['FAR_FUTURE', rawEvent(TELEMETRY, 'meridian.telemetry.load.v1', {}, future)],
      ['SUBJECT', { ...good, subject: `meridian.bei%zzjing.telemetry` }],
    ];
    for (const [, event] of cases) await harness().inject(event);
    await harness().inject(good);
    await until(() => seen.length === 1, 'the good one arrives');
    const counted = cases.map(([reason]) => [reason, records.count(INVALID, reason)]);
    expect(counted).toEqual(cases.map(([reason]) => [reason, reason === 'ENVELOPE' ? 2 : 1]));
    // The clock that was too far ahead did not move ours.
    expect(bus.publish(TELEMETRY, { type: 'meridian.telemetry.load.v1', data: {} }).hlc.wallMs).toBeLessThan(
      Date.now() + 30_000,
    );
  });

  test('of what a stream holds, the place of each invalid event is told in its turn', async () => {
    const { bus } = await harness().open('sync');
    const at = (key: string) => subject('state', { origin: REGION, key });
    const put = (key: string) =>
      bus.publishDurable(at(key), { type: 'meridian.state.record.v1', data: {} }, { messageId: key });
    await put('config/good');
    await harness().inject({ subject: at('config/bad'), headers: [], data: Buffer.from([0xff]) });
    await put('config/last');
    const seen: unknown[] = [];
    const all = subject('state', { origin: REGION, key: '*' });
    const told = (place: StoredPlace) => seen.push(place);
    for await (const stored of bus.lastBySubject('STATE', all, 'meridian.state.record.v1', told))
      seen.push(stored.subject);
    expect(seen).toEqual([at('config/good'), { subject: at('config/bad'), sequence: 2 }, at('config/last')]);
  });

  test('poison in a work queue is terminated, a far-future claim waits, the rest is delivered', async () => {
    const { bus: owner } = await harness().open('scheduler');
    const { bus, records } = await harness().open('worker');
    const consumer = await bus.consumer('TASKS', {
      name: 'normal_m',
      filter: QUEUE,
      type: 'meridian.task.claim.v1',
      ackWaitMs: 60_000,
      maxDeliver: -1,
      maxAckPending: 100,
    });
    const good = rawEvent(QUEUE, 'meridian.task.claim.v1', { taskId: 'good' });
    const future = testEmitter('stranger', REGION, () => Date.now() + 60_000);
    await harness().inject({ ...good, headers: [] });
    await harness().inject({ ...good, data: Buffer.from([0xff]) });
    await harness().inject(rawEvent(QUEUE, 'meridian.task.claim.v1', { taskId: 'future' }, future));
    await harness().inject(good);
    await until(async () => (await owner.streamState('TASKS')).lastSequence === 4, 'all are stored');
    const deliveries = await collect(consumer.fetch(10, 300));
    expect(deliveries.map((d) => d.data.taskId)).toEqual(['good']);
    deliveries[0]?.ack();
    await until(async () => (await owner.streamState('TASKS')).messages === 1, 'only the future one is left');
    expect(records.count(INVALID)).toBe(3);
  });

  test('a forged answer is not believed', async () => {
    const { bus } = await harness().open('scheduler');
    const elsewhere = subject('ping', { target: OTHER_REGION });
    // This server claims to be the other region's, but signs as its own.
    bus.serve(PING, 'meridian.region.ping.v1', async () => ({ type: 'meridian.trace.found.v1', data: {} }) as never);
    await bus.streamState('JOBS');
    const ping = { type: 'meridian.region.ping.v1', data: {} } as const;
    expect(await failed(bus.request(PING, ping, 'meridian.region.pong.v1', { timeoutMs: 2000 }))).toMatchObject({
      reason: 'REPLY_INVALID',
    });
    expect((await failed(bus.request(elsewhere, ping, 'meridian.region.pong.v1', { timeoutMs: 200 }))).code).toMatch(
      /UNAVAILABLE|DEADLINE_EXCEEDED/,
    );
  });

  test('without the broker everything fails at once; afterwards all goes on', async () => {
    const { bus, records } = await harness().open('scheduler');
    const { bus: worker } = await harness().open('worker');
    const seen: number[] = [];
    const statuses: string[] = [];
    bus.onStatus((status) => statuses.push(status));
    bus.subscribe(TELEMETRY, 'meridian.telemetry.load.v1', (m) => seen.push(m.data.outstanding));
    const consumer = await worker.consumer('TASKS', {
      name: 'normal_m',
      filter: QUEUE,
      type: 'meridian.task.claim.v1',
      ackWaitMs: 60_000,
      maxDeliver: -1,
      maxAckPending: 100,
    });
    const claim = { type: 'meridian.task.claim.v1', data: { taskId: 'kept' } } as const;
    await bus.publishDurable(QUEUE, claim);
    const other = await worker.consumer('TASKS', CONSUMER_N);
    const held = failed(collect(other.fetch(1, 60_000)));
    await harness().down();
    await until(() => !bus.connected && !worker.connected, 'both notice');
    expect(await held).toMatchObject({ code: 'UNAVAILABLE', reason: 'DISCONNECTED' });
    const started = performance.now();
    bus.publish(TELEMETRY, { type: 'meridian.telemetry.load.v1', data: { outstanding: 1 } });
    for (const call of [
      bus.publishDurable(QUEUE, claim),
      bus.request(PING, { type: 'meridian.region.ping.v1', data: {} }, 'meridian.region.pong.v1', { timeoutMs: 5000 }),
      bus.streamState('JOBS'),
      collect(consumer.fetch(1, 5000)),
    ])
      expect(await failed(call)).toMatchObject({ code: 'UNAVAILABLE', reason: 'DISCONNECTED', retryable: true });
    expect(performance.now() - started).toBeLessThan(1000);
    expect(records.count('meridian.messaging.dropped', 'DISCONNECTED')).toBe(1);
    await harness().up();
    await until(() => bus.connected && worker.connected, 'both are back', 15_000);
    bus.publish(TELEMETRY, { type: 'meridian.telemetry.load.v1', data: { outstanding: 2 } });
    await until(() => seen.length > 0, 'the subscription lives on');
    expect(seen).toEqual([2]);
    expect((await collect(consumer.fetch(1, 5000))).map((d) => d.data.taskId)).toEqual(['kept']);
    expect(statuses).toEqual(['disconnected', 'connected']);
  });

  test('close ends what waits, and what comes after is refused', async () => {
    const { bus } = await harness().open('worker');
    const consumer = await bus.consumer('TASKS', CONSUMER_N);
    const waiting = failed(collect(consumer.fetch(1, 60_000)));
    await bus.close();
    expect(await waiting).toMatchObject({ code: 'UNAVAILABLE', reason: 'DISCONNECTED' });
    expect(bus.connected).toBe(false);
    expect(await failed(collect(consumer.fetch(1, 60_000)))).toMatchObject({ reason: 'DISCONNECTED' });
    expect(await failed(consumer.pending().then(() => bus.consumer('TASKS', CONSUMER_N)))).toMatchObject({
      reason: 'DISCONNECTED',
    });
    await bus.close();
  });
}

const CONSUMER_N = {
  name: 'normal_n',
  filter: subject('task', { target: REGION, class: 'normal', model: 'n' }),
  type: 'meridian.task.claim.v1',
  ackWaitMs: 60_000,
  maxDeliver: -1,
  maxAckPending: 100,
} as const;

/** Changes, drops, doubles or swaps headers, or damages the data. Values stay free of line breaks, which cannot be sent. */
function mutated(event: RawEvent, random: { int(max: number): number }): RawEvent {
  const headers = event.headers.map(([name, value]): [string, string] => [name, value]);
  const at = random.int(headers.length);
  const [name, value] = headers[at] ?? ['', ''];
  switch (random.int(7)) {
    case 0:
      headers.splice(at, 1);
      break;
    case 1:
      headers[at] = [name, Array.from(value, (c) => (random.int(4) === 0 ? character(random) : c)).join('')];
      break;
    case 2:
      headers[at] = [name, value.slice(0, random.int(value.length + 1))];
      break;
    case 3:
      headers[at] = [name, value.repeat(1 + random.int(40))];
      break;
    case 4:
      headers[at] = [name, headers[random.int(headers.length)]?.[1] ?? ''];
      break;
    case 5:
      headers[at] = [name, Array.from({ length: random.int(60) }, () => character(random)).join('')];
      break;
    default:
      return { ...event, data: Buffer.from(Array.from({ length: random.int(80) }, () => random.int(256))) };
  }
  return { ...event, headers };
}

function character(random: { int(max: number): number }): string {
  return String.fromCharCode(random.int(8) === 0 ? 0xa0 + random.int(0x500) : 0x20 + random.int(0x5f));
}
