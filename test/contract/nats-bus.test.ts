import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { STREAMS, subject, taskConsumer } from '@meridian/contracts';
import { freePort } from '@meridian/local';
import { NatsAdmin, type NatsDialOptions } from '@meridian/messaging';
import { type Logger, systemClock } from '@meridian/runtime';
import { connect } from '@nats-io/transport-node';
import { NatsServer } from '../support/nats-server.ts';
import { collect, failed, REGION, testLogger, until } from './bus-harness.ts';
import { NatsHarness } from './nats-harness.ts';

/** Keeps what is logged at error level. */
function recordingLogger(lines: unknown[]): Logger {
  const logger = testLogger.child({});
  logger.error = ((fields: unknown) => lines.push(fields)) as Logger['error'];
  return logger;
}

describe('NatsBus beyond the contract', () => {
  let harness: NatsHarness;
  beforeEach(async () => {
    harness = await NatsHarness.start();
  });
  afterEach(async () => {
    await harness.stop();
  });

  test('a forbidden subject is refused, at once for who waits, and logged with its name', async () => {
    const lines: unknown[] = [];
    const { bus } = await harness.open('worker', recordingLogger(lines));
    const forbidden = subject('telemetry', { origin: REGION });
    bus.publish(forbidden, { type: 'meridian.telemetry.load.v1', data: {} });
    await until(() => lines.length === 1, 'the violation is logged');
    expect(lines[0]).toMatchObject({ operation: 'publish', subject: forbidden });
    const started = performance.now();
    const denied = bus.publishDurable(subject('job', { origin: REGION, job: 'a', task: 'job' }), {
      type: 'meridian.job.record.v1',
      data: {},
    });
    expect((await failed(denied)).code).toBe('PERMISSION_DENIED');
    expect((await failed(bus.streamState('JOBS'))).code).toBe('PERMISSION_DENIED');
    expect(performance.now() - started).toBeLessThan(2000);
  });

  test('a fetch on a consumer that is gone says so', async () => {
    const { bus } = await harness.open('worker');
    const consumer = await bus.consumer('TASKS', {
      name: 'normal_m',
      filter: subject('task', { target: REGION, class: 'normal', model: 'm' }),
      type: 'meridian.task.claim.v1',
      ackWaitMs: 1000,
      maxDeliver: -1,
      maxAckPending: 10,
    });
    const waiting = failed(collect(consumer.fetch(1, 10_000)));
    await until(async () => (await consumerInfo()).num_waiting === 1, 'the pull waits');
    await harness.api('CONSUMER.DELETE.TASKS.normal_m');
    expect(await waiting).toMatchObject({ code: 'NOT_FOUND', reason: 'CONSUMER_MISSING' });
    expect(await failed(collect(consumer.fetch(1, 0)))).toMatchObject({ reason: 'CONSUMER_MISSING' });

    async function consumerInfo(): Promise<{ num_waiting: number }> {
      return (await harness.api('CONSUMER.INFO.TASKS.normal_m')) as { num_waiting: number };
    }
  });

  test('a published event is stored before a kill of the broker, and read after it', async () => {
    const { bus } = await harness.open('scheduler');
    const target = subject('job', { origin: REGION, job: 'a', task: 'job' });
    const published = await bus.publishDurable(target, { type: 'meridian.job.record.v1', data: {} });
    await harness.down();
    await harness.up();
    await until(() => bus.connected, 'connected again', 15_000);
    const stored = await bus.getLast('JOBS', target, 'meridian.job.record.v1');
    expect(stored?.envelope.id).toBe(published.envelope.id);
    expect(stored?.sequence).toBe(published.sequence);
  });
});

describe('a broker that stands still', () => {
  test('makes senders refuse instead of buffering without end, and all goes on when it is back', async () => {
    const harness = await NatsHarness.start();
    try {
      const { bus, records } = await harness.open('scheduler');
      const job = subject('job', { origin: REGION, job: 'a', task: 'job' });
      const record = (bytes: number) =>
        ({ type: 'meridian.job.record.v1', data: { headerDigest: new Uint8Array(bytes) } }) as const;
      await bus.publishDurable(job, record(10));
      harness.server.pause();
      const waiting = failed(bus.publishDurable(job, record(10), { timeoutMs: 200 }));
      for (let n = 0; n < 200; n++) bus.publish(job, record(256 * 1024));
      const dropped = records.count('meridian.messaging.dropped', 'BACKLOG_FULL');
      // 16 MiB pass, of 50.
      expect(dropped).toBeGreaterThan(120);
      expect(dropped).toBeLessThan(140);
      expect(await failed(bus.publishDurable(job, record(10)))).toMatchObject({
        code: 'RESOURCE_EXHAUSTED',
        reason: 'BACKLOG_FULL',
        retryable: true,
      });
      expect((await waiting).reason).toBe('NO_PUBACK');
      harness.server.resume();
      await until(
        async () => (await bus.publishDurable(job, record(10)).catch(() => undefined)) !== undefined,
        'it is back',
      );
    } finally {
      harness.server.resume();
      await harness.stop();
    }
  });
});

describe('a broker that falls silent in the middle of a read', () => {
  // Longer than the reader waits for a pull, once; and again and again for longer than the broker looks for more.
  test.each([
    { pauseMs: 800, times: 1 },
    { pauseMs: 40, times: 12 },
  ])('$times times for $pauseMs ms: all that it keeps comes, once and in order', async ({ pauseMs, times }) => {
    const harness = await NatsHarness.start();
    const count = 600; // more than two pulls
    try {
      const { bus } = await harness.open('scheduler');
      const subjectOf = (job: string) => subject('job', { origin: REGION, job, task: 'job' });
      const digest = (n: number) => Buffer.concat([Buffer.from([n >> 8, n & 255]), Buffer.alloc(16 * 1024)]);
      for (let n = 0; n < count; n++)
        await bus.publishDurable(subjectOf(`j${n}`), {
          type: 'meridian.job.record.v1',
          data: { headerDigest: digest(n) },
        });
      const seen: number[] = [];
      let pausing: Promise<void> | undefined;
      const pause = async (): Promise<void> => {
        for (let i = 0; i < times; i++) {
          harness.server.pause();
          await systemClock.sleep(pauseMs);
          harness.server.resume();
          await systemClock.sleep(1);
        }
      };
      for await (const { data } of bus.lastBySubject('JOBS', subjectOf('*'), 'meridian.job.record.v1')) {
        seen.push(Buffer.from(data.headerDigest).readUInt16BE());
        pausing ??= pause();
      }
      await pausing;
      expect(seen).toEqual(Array.from({ length: count }, (_, n) => n));
    } finally {
      harness.server.resume();
      await harness.stop();
    }
  });
});

describe('a broker that is killed under a work queue', () => {
  const queue = subject('task', { target: REGION, class: 'normal', model: 'm' });
  const options = {
    ...{ name: taskConsumer('normal', 'm'), filter: queue, type: 'meridian.task.claim.v1' as const },
    ...{ ackWaitMs: 10_000, maxDeliver: -1, maxAckPending: 1000 },
  };

  test('has another life, and consumers made anew deliver all that it kept', async () => {
    const harness = await NatsHarness.start();
    try {
      const { bus: owner } = await harness.open('scheduler');
      const { bus: worker } = await harness.open('worker');
      const before = owner.brokerLife;
      const consumer = await worker.consumer('TASKS', options);
      for (let n = 0; n < 400; n++)
        await owner.publishDurable(queue, { type: 'meridian.task.claim.v1', data: { taskId: `t${n}` } });
      for await (const delivery of consumer.fetch(300, 5000)) if (delivery.sequence % 3 !== 0) delivery.ack();
      await harness.server.kill();
      await harness.server.launch();
      await until(() => owner.connected && worker.connected, 'both are back');
      expect(owner.brokerLife).not.toBe(before);
      await owner.deleteConsumers('TASKS');
      const again = await worker.consumer('TASKS', options);
      const { messages } = await owner.streamState('TASKS');
      expect(messages).toBeGreaterThanOrEqual(200);
      const seen = new Set<number>();
      for await (const delivery of again.fetch(messages, 5000)) {
        seen.add(delivery.sequence);
        delivery.ack();
      }
      expect(seen.size).toBe(messages);
      await until(async () => (await owner.streamState('TASKS')).messages === 0, 'the queue is empty');
    } finally {
      await harness.stop();
    }
  });
});

describe('NatsAdmin', () => {
  let server: NatsServer;
  beforeEach(async () => {
    server = await NatsServer.start({ domain: REGION });
  });
  afterEach(async () => {
    await server.stop();
  });

  test('creates the streams of the table once, and finds a missing or a different one', async () => {
    const admin = await NatsAdmin.connect(options(server.url));
    expect(await failed(admin.verify(REGION))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'STREAM_MISSING',
      details: { stream: 'TASKS' },
    });
    await admin.createStreams(REGION);
    await admin.createStreams(REGION);
    await admin.verify(REGION);
    const client = await connect({ servers: server.url });
    const names = (await client.request('$JS.API.STREAM.NAMES')).json<{ streams: string[] }>().streams;
    expect(names.toSorted()).toEqual(STREAMS.map((row) => row.name).toSorted());
    await client.request('$JS.API.STREAM.DELETE.STATE');
    expect((await failed(admin.verify(REGION))).details).toEqual({ stream: 'STATE', region: REGION });
    await client.request('$JS.API.STREAM.CREATE.STATE', JSON.stringify({ name: 'STATE', subjects: ['other'] }));
    const different = await failed(admin.verify(REGION));
    expect(different).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'STREAM_DIFFERENT' });
    expect(different.message).toMatch(/STATE.*subjects/);
    expect((await failed(admin.createStreams(REGION))).reason).toBe('STREAM_DIFFERENT');
    await client.close();
    await admin.close();
  });

  test('the first connection waits for the broker until its deadline, and a refused key ends it at once', async () => {
    const nowhere = options(`nats://127.0.0.1:${await freePort()}`);
    expect(await failed(NatsAdmin.connect({ ...nowhere, connectTimeoutMs: 500 }))).toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'BROKER_UNREACHABLE',
    });
    await server.kill();
    const early = NatsAdmin.connect(options(server.url));
    await server.launch();
    await (await early).close();
    const closed = await NatsServer.start({ configuration: 'authorization { user: a, password: b }' });
    expect((await failed(NatsAdmin.connect(options(closed.url)))).code).toBe('UNAUTHENTICATED');
    await closed.stop();
  });

  function options(url: string): NatsDialOptions {
    return { url, region: REGION, role: 'initializer', name: 'test', logger: testLogger, clock: systemClock };
  }
});
