import { afterEach, expect, test } from '@jest/globals';
import { HybridLogicalClock, VersionVector } from '@meridian/causality';
import { subject } from '@meridian/contracts';
import { Emitter, InMemoryBroker, InMemoryBus } from '@meridian/messaging';
import { createLogger, seededRandom, systemClock } from '@meridian/runtime';
import { createNoopMeter } from '@opentelemetry/api';
import { until } from '../region.fixture.ts';
import { PublishQueue, type PublishQueueOptions } from './publish-queue.ts';

/** Goal: what is taken reaches the stream in order over a broker that is away; what is too much is dropped, not kept. */
const region = 'beijing';
const broker = new InMemoryBroker({ clock: systemClock, regions: [region] });
const logger = createLogger({ name: 'test', region, level: 'silent' });
const bus = new InMemoryBus({
  ...{ broker, role: 'sync', logger, meter: createNoopMeter(), clock: systemClock },
  emitter: new Emitter({
    ...{ region, service: 'sync', replica: '1', incarnation: 'x', clock: systemClock },
    hlc: new HybridLogicalClock(() => systemClock.nowMs(), { driftMaxMs: 1_000 }),
    knowledge: () => VersionVector.EMPTY,
  }),
});
const queues: PublishQueue[] = [];

function newQueue(options: Partial<PublishQueueOptions> = {}): PublishQueue {
  const queue = new PublishQueue({
    ...{ bus, clock: systemClock, random: seededRandom(1), logger, name: 'test', ...options },
  });
  queues.push(queue);
  return queue;
}

afterEach(async () => {
  broker.setUp(region, true);
  for (const queue of queues.splice(0)) await queue.stop();
  broker.stream(region, 'HISTORY').purge('meridian.>');
});

const publication = (id: string, bytes = 100) => ({
  ...{ id, bytes, subject: subject('history', { origin: region, key: 'k' }) },
  event: { type: 'meridian.state.version.v1', data: { key: id } } as const,
});
const stored = async () => {
  const keys: string[] = [];
  const all = subject('history', { origin: region, key: 'k' });
  for await (const { data } of bus.allBySubject('HISTORY', all, 'meridian.state.version.v1')) keys.push(data.key);
  return keys;
};

test('while the broker is away it waits, then publishes in order, each once', async () => {
  const queue = newQueue();
  broker.setUp(region, false);
  const names = Array.from({ length: 20 }, (_, i) => `wait-${i}`);
  const heard: string[] = [];
  for (const name of names) queue.push({ ...publication(name), stored: () => heard.push(name) });
  await systemClock.sleep(1);
  expect(heard).toEqual([]);
  broker.setUp(region, true);
  await queue.drain(AbortSignal.timeout(10_000));
  expect(await stored()).toEqual(names);
  expect(heard).toEqual(names);
});

test('what an earlier life has published is left out, once that can be read', async () => {
  let asked = 0;
  const known = async () => {
    if (++asked === 1) throw new Error('not yet');
    return new Set(['known-0']);
  };
  const queue = newQueue({ known });
  for (const name of ['known-0', 'known-1']) queue.push(publication(name));
  await queue.drain(AbortSignal.timeout(10_000));
  expect([asked, await stored()]).toEqual([2, ['known-1']]);
});

test('a run of which one is there already goes one by one, and each is told', async () => {
  const queue = newQueue();
  await bus.publishDurable(publication('run-1').subject, publication('run-1').event, { messageId: 'run-1' });
  const heard: string[] = [];
  for (const name of ['run-0', 'run-1', 'run-2']) queue.push({ ...publication(name), stored: () => heard.push(name) });
  await queue.drain(AbortSignal.timeout(10_000));
  expect(await stored()).toEqual(['run-1', 'run-0', 'run-2']);
  expect(heard).toEqual(['run-0', 'run-1', 'run-2']);
});

test('it holds so many and so much, and drops what is more', async () => {
  broker.setUp(region, false);
  const many = newQueue();
  const heard = new Set<string>();
  for (let i = 0; i < 8_200; i++) many.push({ ...publication(`many-${i}`), stored: () => void heard.add(`many-${i}`) });
  const large = newQueue();
  const heardLarge: number[] = [];
  for (let i = 0; i < 5; i++)
    large.push({ ...publication(`large-${i}`, 6 * 2 ** 20), stored: () => void heardLarge.push(i) });
  broker.setUp(region, true);
  await until(() => heard.size === 8_192 && heardLarge.length === 2);
  expect([heard.has('many-8191'), heard.has('many-8192'), heardLarge]).toEqual([true, false, [0, 1]]);
});

test('what no stream takes is given up and holds up nothing; a stop ends the waiting', async () => {
  const queue = newQueue();
  const event = { type: 'meridian.state.version.v1', data: { key: 'x'.repeat(300 * 1024) } } as const;
  queue.push({ ...publication('hopeless'), event });
  queue.push(publication('next'));
  await queue.drain(AbortSignal.timeout(10_000));
  expect(await stored()).toEqual(['next']);
  broker.setUp(region, false);
  queue.push(publication('late'));
  await queue.stop();
});
