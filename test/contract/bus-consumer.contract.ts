import { expect, test } from '@jest/globals';
import { subject, taskConsumer } from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import type { Delivery, MessageBus, PullConsumer } from '@meridian/messaging';
import { type BusHarness, collect, failed, REGION, until } from './bus-harness.ts';

type Claim = 'meridian.task.claim.v1';
const QUEUE = subject('task', { target: REGION, class: 'normal', model: 'm' });
const ACK_WAIT_MS = 500;

/** Work queues: pulled, acknowledged, delivered again. */
export function consumerContract(harness: () => BusHarness): void {
  async function opened(more: { maxDeliver?: number; maxAckPending?: number } = {}) {
    const { bus: owner } = await harness().open('scheduler');
    const { bus: worker, records } = await harness().open('worker');
    const consumer = await openConsumer(worker, more);
    return { owner, worker, consumer, records };
  }

  test('deliveries come in order, once, and leave the queue when acknowledged', async () => {
    const { owner, consumer } = await opened();
    await place(owner, 5);
    expect(await consumer.pending()).toEqual({ waiting: 5, unacked: 0 });
    const three = await collect(consumer.fetch(3, 1000));
    expect(three.map((d) => d.data.taskId)).toEqual(['t0', 't1', 't2']);
    expect(three.map((d) => d.deliveryCount)).toEqual([1, 1, 1]);
    expect(await consumer.pending()).toEqual({ waiting: 2, unacked: 3 });
    expect(await owner.consumerDepth('TASKS', taskConsumer('normal', 'm'))).toEqual({ waiting: 2, unacked: 3 });
    expect(await owner.consumerDepth('TASKS', taskConsumer('low', 'm'))).toBeUndefined();
    for (const delivery of three) {
      delivery.ack();
      delivery.ack();
    }
    const rest = await collect(consumer.fetch(10, 0));
    expect(rest.map((d) => d.data.taskId)).toEqual(['t3', 't4']);
    for (const delivery of rest) delivery.ack();
    await until(async () => (await owner.streamState('TASKS')).messages === 0, 'the queue is empty');
    expect(await consumer.pending()).toEqual({ waiting: 0, unacked: 0 });
    expect(await collect(consumer.fetch(10, 0))).toEqual([]);
  });

  test('a waiting fetch gets what comes, and ends empty at its time', async () => {
    const { owner, consumer } = await opened();
    const waiting = collect(consumer.fetch(1, 5000));
    await place(owner, 1);
    const [delivery] = await waiting;
    expect(delivery?.data.taskId).toBe('t0');
    delivery?.ack();
    const started = performance.now();
    expect(await collect(consumer.fetch(1, 150))).toEqual([]);
    expect(performance.now() - started).toBeGreaterThanOrEqual(140);
  });

  test('nak brings it again after its delay, term and ack never', async () => {
    const { owner, consumer } = await opened();
    await place(owner, 3);
    const [again, bad, good] = await collect(consumer.fetch(3, 1000));
    const started = performance.now();
    again?.nak(200);
    bad?.term('poison');
    good?.ack();
    const [second] = await collect(consumer.fetch(1, 5000));
    expect(performance.now() - started).toBeGreaterThanOrEqual(190);
    expect(second?.data.taskId).toBe('t0');
    expect(second?.deliveryCount).toBe(2);
    second?.nak(0);
    const [third] = await collect(consumer.fetch(1, 5000));
    expect(third?.deliveryCount).toBe(3);
    third?.ack();
    await until(async () => (await owner.streamState('TASKS')).messages === 0, 'the queue is empty');
  });

  test('what is not settled in time comes again, unless it says that it is working', async () => {
    const { owner, consumer } = await opened();
    await place(owner, 2);
    const [forgotten, working] = await collect(consumer.fetch(2, 1000));
    expect(forgotten?.data.taskId).toBe('t0');
    const beat = setInterval(() => working?.working(), ACK_WAIT_MS / 4);
    const [again] = await collect(consumer.fetch(1, 5000));
    expect(again).toMatchObject({ deliveryCount: 2, data: { taskId: 't0' } });
    again?.ack();
    expect(await collect(consumer.fetch(1, ACK_WAIT_MS * 2))).toEqual([]);
    clearInterval(beat);
    working?.ack();
    await until(async () => (await owner.streamState('TASKS')).messages === 0, 'the queue is empty');
  });

  test('a fetch that is left or aborted gives back what it has not handed out', async () => {
    const { owner, consumer } = await opened();
    await place(owner, 6);
    for await (const delivery of consumer.fetch(6, 1000)) {
      delivery.ack();
      if (delivery.data.taskId === 't1') break;
    }
    const abort = new AbortController();
    const taken: Delivery<Claim>[] = [];
    for await (const delivery of consumer.fetch(6, 5000, abort.signal)) {
      taken.push(delivery);
      delivery.ack();
      if (taken.length === 2) abort.abort();
    }
    expect(taken).toHaveLength(2);
    while (taken.length < 4)
      for await (const delivery of consumer.fetch(1, 5000)) {
        taken.push(delivery);
        delivery.ack();
      }
    expect(new Set(taken.map((d) => d.data.taskId))).toEqual(new Set(['t2', 't3', 't4', 't5']));
    const waiting = collect(consumer.fetch(1, 60_000, abort.signal));
    expect(await waiting).toEqual([]);
    const second = new AbortController();
    const aborted = collect(consumer.fetch(1, 60_000, second.signal));
    second.abort();
    expect(await aborted).toEqual([]);
    // A claim that comes after an aborted wait is for the next one.
    await place(owner, 1, 'late');
    expect((await collect(consumer.fetch(1, 5000)))[0]?.data.taskId).toBe('late0');
  });

  test('a consumer that is deleted and made anew is given everything that the queue holds', async () => {
    const { owner, worker, consumer } = await opened();
    await place(owner, 4);
    const [done, held] = await collect(consumer.fetch(2, 1000));
    done?.ack();
    await until(async () => (await owner.streamState('TASKS')).messages === 3, 'one is done');
    await collect(consumer.fetch(2, 1000)); // out, and not settled
    const waiting = failed(collect(consumer.fetch(1, 5000)));
    expect(await owner.deleteConsumers('TASKS')).toBe(1);
    expect(await waiting).toMatchObject({ code: 'NOT_FOUND', reason: 'CONSUMER_MISSING' });
    expect(await failed(collect(consumer.fetch(1, 100)))).toMatchObject({ reason: 'CONSUMER_MISSING' });
    expect(await owner.deleteConsumers('TASKS')).toBe(0);
    const again = await openConsumer(worker);
    const deliveries = await collect(again.fetch(3, 1000));
    expect(deliveries.map((d) => [d.data.taskId, d.deliveryCount])).toEqual([
      ['t1', 1],
      ['t2', 1],
      ['t3', 1],
    ]);
    held?.ack(); // of the consumer before: it counts or not, it does no harm
    for (const delivery of deliveries) delivery.ack();
    await until(async () => (await owner.streamState('TASKS')).messages === 0, 'the queue is empty');
  });

  test('fetches side by side, of two workers, share the queue', async () => {
    const { owner, consumer } = await opened();
    const { bus: second } = await harness().open('worker');
    const other = await openConsumer(second);
    await place(owner, 60);
    const seen: string[] = [];
    const work = async (pull: PullConsumer<Claim>): Promise<void> => {
      for (let got = 1; got > 0; ) {
        got = 0;
        for await (const delivery of pull.fetch(4, 0)) {
          got++;
          seen.push(delivery.data.taskId);
          delivery.ack();
        }
      }
    };
    await Promise.all([work(consumer), work(consumer), work(other)]);
    expect(seen.toSorted()).toEqual(Array.from({ length: 60 }, (_, n) => `t${n}`).toSorted());
  });

  test('no more are out than may be, and no more often than may be', async () => {
    const { owner, consumer } = await opened({ maxAckPending: 2, maxDeliver: 2 });
    await place(owner, 3);
    const two = await collect(consumer.fetch(3, 100));
    expect(two).toHaveLength(2);
    for (const delivery of two) delivery.nak(0);
    const again = await collect(consumer.fetch(2, 1000));
    expect(again.map((d) => d.deliveryCount)).toEqual([2, 2]);
    for (const delivery of again) delivery.nak(0);
    const [last] = await collect(consumer.fetch(2, 200));
    expect(last).toMatchObject({ deliveryCount: 1, data: { taskId: 't2' } });
    last?.ack();
  });

  test('a consumer is created once; another filter or an overlapping one is refused', async () => {
    const { worker } = await opened();
    await openConsumer(worker, { maxAckPending: 7 });
    for (const options of [
      { name: taskConsumer('normal', 'm'), filter: subject('task', { target: REGION, class: 'normal', model: 'n' }) },
      { name: 'all', filter: subject('task', { target: REGION, class: '*', model: '*' }) },
    ])
      expect(await failed(worker.consumer('TASKS', { ...OPTIONS, ...options }))).toMatchObject({
        code: 'FAILED_PRECONDITION',
        reason: 'CONSUMER_CONFLICT',
      });
  });

  test('public events are read by type; another registered type is passed over', async () => {
    const { bus: owner } = await harness().open('scheduler');
    const { bus: reader } = await harness().open('consumer');
    const event = (verb: string) => subject('event', { origin: REGION, tenant: 'public', entity: 'job', verb });
    const filter = subject('event', { origin: REGION, tenant: 'public', entity: '*', verb: '*' });
    const consumer = await reader.consumer('EVENTS', {
      ...OPTIONS,
      name: 'mine',
      filter,
      type: 'meridian.event.tasks-placed.v1',
    });
    await owner.publishDurable(event('accepted'), { type: 'meridian.event.job-changed.v1', data: {} });
    await owner.publishDurable(event('placed'), { type: 'meridian.event.tasks-placed.v1', data: { jobId: 'j' } });
    const read = await collect(consumer.fetch(2, 300));
    expect(read.map((d) => d.data.jobId)).toEqual(['j']);
    for (const delivery of read) delivery.ack();
    await until(async () => (await consumer.pending()).unacked === 0, 'all settled');
    expect(read[0]).not.toBeInstanceOf(Failure);
  });
}

const OPTIONS = { type: 'meridian.task.claim.v1', ackWaitMs: ACK_WAIT_MS, maxDeliver: -1, maxAckPending: 100 } as const;

function openConsumer(bus: MessageBus, more: { maxDeliver?: number; maxAckPending?: number } = {}) {
  return bus.consumer('TASKS', { ...OPTIONS, name: taskConsumer('normal', 'm'), filter: QUEUE, ...more });
}

async function place(bus: MessageBus, count: number, prefix = 't'): Promise<void> {
  for (let n = 0; n < count; n++)
    await bus.publishDurable(QUEUE, { type: 'meridian.task.claim.v1', data: { taskId: `${prefix}${n}` } });
}
