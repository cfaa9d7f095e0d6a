import { describe, expect, test } from '@jest/globals';
import { Failure } from '@meridian/failure';
import { Outbox } from '@meridian/rpc';
import { createLogger, VirtualClock } from '@meridian/runtime';
import type { StreamRef } from '../tasks/ports.ts';
import { type PictureOrder, type ToWorker, WorkerStream } from './worker-stream.ts';
import { WorkerStreams } from './worker-streams.ts';

const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });
const turn = () => new Promise((resolve) => setImmediate(resolve));

function streams() {
  const clock = new VirtualClock();
  const told: string[] = [];
  const say = (what: string) => (ref: StreamRef) => void told.push(`${what} ${ref.worker}`);
  const all = new WorkerStreams({ clock, logger, started: say('started'), ended: say('ended') });
  return { clock, told, all };
}

describe('WorkerStreams', () => {
  test('three heartbeats without one end a stream, once, with the reason', async () => {
    const { clock, told, all } = streams();
    const outbox = new Outbox<ToWorker>();
    const stream = all.open('w1', 'beijing', outbox);
    clock.advance(900);
    all.tick(0);
    expect(stream.closed).toBe(false);
    clock.advance(1);
    all.tick(0);
    all.end(stream);
    expect(told).toEqual(['started w1', 'ended w1']);
    await expect(outbox.ready()).rejects.toMatchObject({ reason: 'HEARTBEAT_MISSED' });
  });

  test('time in which this process was deaf is no silence', () => {
    const { clock, all } = streams();
    const stream = all.open('w1', 'beijing', new Outbox<ToWorker>());
    clock.advance(3000);
    all.tick(2500);
    expect(stream.closed).toBe(false);
  });

  test('a worker that attaches again replaces its older stream', () => {
    const { told, all } = streams();
    const first = all.open('w1', 'beijing', new Outbox<ToWorker>());
    all.open('w1', 'beijing', new Outbox<ToWorker>());
    all.open('w1', 'shanghai', new Outbox<ToWorker>());
    expect([first.closed, all.size, all.workersOf('beijing')]).toEqual([true, 2, 1]);
    all.end(first);
    expect([all.workersOf('beijing'), told.length]).toEqual([1, 4]);
  });
});

describe('WorkerStream', () => {
  test('takes the bytes of a picture only when there is room, verdicts pass at once', async () => {
    const outbox = new Outbox<ToWorker>({ messagesMax: 2 });
    const stream = new WorkerStream({ id: '1', region: 'beijing', worker: 'w' }, outbox, 0);
    const taken: string[] = [];
    const order = (taskId: string): PictureOrder => ({
      taskId,
      fence: 1,
      bytes: () => {
        taken.push(taskId);
        return new Uint8Array(1);
      },
      sent: () => undefined,
      failed: () => undefined,
    });
    for (const id of ['a', 'b', 'c', 'd']) stream.sendPicture(order(id));
    stream.send({ message: { case: 'cancel', value: { taskId: 'x' } } });
    await turn();
    expect(taken).toEqual(['a', 'b']);
    const got: string[] = [];
    for await (const { message } of outbox) {
      got.push(message?.case ?? '');
      if (got.length === 5) break;
    }
    expect(got.indexOf('cancel')).toBeLessThan(3);
    expect(got.filter((what) => what === 'picture')).toHaveLength(4);
    expect(taken).toEqual(['a', 'b', 'c', 'd']);
  });

  test('a picture that is not wanted any more is not sent, one that cannot be read is told', async () => {
    const outbox = new Outbox<ToWorker>();
    const stream = new WorkerStream({ id: '1', region: 'beijing', worker: 'w' }, outbox, 0);
    const told: string[] = [];
    const order = (bytes: PictureOrder['bytes']): PictureOrder => ({
      taskId: 't',
      fence: 1,
      bytes,
      sent: () => void told.push('sent'),
      failed: ({ reason }) => void told.push(reason),
    });
    stream.sendPicture(order(() => undefined));
    stream.sendPicture(order(() => Promise.reject(new Failure('DATA_LOSS', 'gone', { reason: 'PICTURE_LOST' }))));
    stream.sendPicture(order(async () => new Uint8Array(1)));
    await turn();
    expect(told).toEqual(['PICTURE_LOST', 'sent']);
    stream.close();
    stream.sendPicture(order(async () => new Uint8Array(1)));
    await turn();
    expect(told).toHaveLength(2);
  });
});
