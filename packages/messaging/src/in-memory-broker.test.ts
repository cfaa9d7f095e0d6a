import { describe, expect, test } from '@jest/globals';
import { HybridLogicalClock, VersionVector } from '@meridian/causality';
import { subject } from '@meridian/contracts';
import { createLogger, VirtualClock } from '@meridian/runtime';
import { createNoopMeter } from '@opentelemetry/api';
import { Emitter } from './emitter.ts';
import { InMemoryBroker } from './in-memory-broker.ts';
import { InMemoryBus } from './in-memory-bus.ts';
import { InMemoryStream } from './in-memory-stream.ts';

const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });
const LOAD = { type: 'meridian.telemetry.load.v1', data: {} } as const;
const CLAIM = { type: 'meridian.task.claim.v1', data: { taskId: 't' } } as const;
const REMOTE_QUEUE = subject('task', { target: 'shanghai', class: 'normal', model: 'm' });

function world() {
  const clock = new VirtualClock(1_700_000_000_000);
  const delayMs = (from: string, to: string): number => (from === to ? 0 : 25);
  const broker = new InMemoryBroker({ clock, regions: ['beijing', 'shanghai'], delayMs });
  const bus = (region: string): InMemoryBus =>
    new InMemoryBus({
      broker,
      emitter: new Emitter({
        region,
        service: 'scheduler',
        replica: '1',
        incarnation: 'x',
        clock,
        hlc: new HybridLogicalClock(() => clock.nowMs(), { driftMaxMs: 1000 }),
        knowledge: () => VersionVector.EMPTY,
      }),
      role: 'scheduler',
      logger,
      meter: createNoopMeter(),
      clock,
    });
  return { clock, broker, beijing: bus('beijing'), shanghai: bus('shanghai') };
}

describe('InMemoryBroker', () => {
  test('a durable publish to another region takes one round trip and fails after its time on a cut link', async () => {
    const { clock, broker, beijing, shanghai } = world();
    const published = beijing.publishDurable(REMOTE_QUEUE, CLAIM);
    await clock.advanceAsync(49);
    expect((await shanghai.streamState('TASKS')).messages).toBe(1);
    await clock.advanceAsync(1);
    expect(await published).toMatchObject({ stream: 'TASKS', domain: 'shanghai', sequence: 1 });
    broker.setReachable('beijing', 'shanghai', false);
    const lost = beijing.publishDurable(REMOTE_QUEUE, CLAIM, { timeoutMs: 200 }).catch((thrown: unknown) => thrown);
    await clock.advanceAsync(200);
    expect(await lost).toMatchObject({ code: 'UNAVAILABLE', reason: 'NO_PUBACK' });
    broker.setReachable('shanghai', 'beijing', true);
    const again = beijing.publishDurable(REMOTE_QUEUE, CLAIM);
    await clock.advanceAsync(50);
    expect((await again).sequence).toBe(2);
    expect(clock.pendingTimers).toBe(0);
  });

  test('a link that is cut while the receipt is on its way leaves the sender in doubt', async () => {
    const { clock, broker, beijing, shanghai } = world();
    const doubtful = beijing.publishDurable(REMOTE_QUEUE, CLAIM, { timeoutMs: 200 }).catch((thrown: unknown) => thrown);
    await clock.advanceAsync(30);
    broker.setReachable('beijing', 'shanghai', false);
    await clock.advanceAsync(170);
    expect(await doubtful).toMatchObject({ reason: 'NO_PUBACK' });
    expect((await shanghai.streamState('TASKS')).messages).toBe(1);
  });

  test('streams of events go to all regions, those that cross no link stay, requests reach only their target', async () => {
    const { clock, beijing, shanghai } = world();
    const heard: string[] = [];
    shanghai.subscribe(subject('telemetry', { origin: '*' }), LOAD.type, () => heard.push('telemetry'));
    shanghai.subscribe(subject('spans', { origin: '*' }), 'meridian.trace.spans.v1', () => heard.push('spans'));
    for (const bus of [beijing, shanghai])
      bus.serve(subject('ping', { target: bus.region }), 'meridian.region.ping.v1', async () => ({
        type: 'meridian.region.pong.v1',
        data: { region: bus.region },
      }));
    beijing.publish(subject('telemetry', { origin: 'beijing' }), LOAD);
    beijing.publish(subject('spans', { origin: 'beijing' }), { type: 'meridian.trace.spans.v1', data: {} });
    const ping = subject('ping', { target: 'shanghai' });
    const answer = beijing.request(ping, { type: 'meridian.region.ping.v1', data: {} }, 'meridian.region.pong.v1', {
      timeoutMs: 1000,
    });
    await clock.advanceAsync(50);
    expect((await answer).data.region).toBe('shanghai');
    expect(heard).toEqual(['telemetry']);
  });

  test('the same run gives the same result', async () => {
    const run = async (): Promise<string[]> => {
      const { clock, beijing, shanghai } = world();
      const seen: string[] = [];
      for (const bus of [beijing, shanghai])
        bus.subscribe(subject('telemetry', { origin: '*' }), LOAD.type, (m) =>
          seen.push(`${bus.region} ${clock.monotonicMs()} ${m.envelope.id}`),
        );
      for (let n = 0; n < 20; n++) {
        (n % 3 === 0 ? shanghai : beijing).publish(
          subject('telemetry', { origin: n % 3 === 0 ? 'shanghai' : 'beijing' }),
          LOAD,
        );
        await clock.advanceAsync(7);
      }
      await clock.advanceAsync(100);
      return seen;
    };
    const first = await run();
    expect(first).toHaveLength(40);
    expect(await run()).toEqual(first);
  });
});

describe('InMemoryStream', () => {
  const row = {
    name: 'EVENTS',
    kind: 'event',
    retention: 'limits',
    discard: 'old',
    bytesMax: 1000,
    messageBytesMax: 500,
    ageMaxMs: 10_000,
    duplicateWindowMs: 2000,
    readers: [],
  } as const;
  const entry = (name: string, bytes: number) => ({ subject: name, headers: [], data: new Uint8Array(bytes) });

  test('drops the oldest at its size and at its age; forgets message ids after the window', () => {
    const clock = new VirtualClock(1_700_000_000_000);
    const stream = new InMemoryStream(row, clock);
    for (let n = 0; n < 5; n++) stream.append(entry(`s${n}`, 268), { messageId: `m${n}` });
    expect(stream.state).toEqual({ messages: 3, bytes: 900, lastSequence: 5 });
    expect(stream.append(entry('s0', 1), { messageId: 'm0' })).toEqual({ sequence: 1, duplicate: true });
    clock.advance(2000);
    expect(stream.append(entry('s0', 1), { messageId: 'm0' }).duplicate).toBe(false);
    clock.advance(8000);
    expect(stream.state.messages).toBe(1);
    clock.advance(2000);
    expect(stream.state).toEqual({ messages: 0, bytes: 0, lastSequence: 6 });
  });
});
