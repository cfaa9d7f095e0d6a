import { describe, expect, test } from '@jest/globals';
import { Failure } from '@meridian/failure';
import fc from 'fast-check';
import { SendBuffer } from './send-buffer.ts';

const bytes = (length: number) => Buffer.alloc(length);

function bufferOf(inFlightMax = 1) {
  const transmitted: Buffer[] = [];
  const pending: (() => void)[] = [];
  const events: string[] = [];
  const buffer = new SendBuffer({
    bytesMax: 100_000,
    overflowBytes: 500_000,
    inFlightMax,
    transmit: (message, sent) => {
      transmitted.push(message);
      pending.push(sent);
    },
    overflowed: () => events.push('overflow'),
  });
  return { buffer, transmitted, pending, events };
}

describe('send buffer', () => {
  test('false from the bound on, room again at half of it', async () => {
    const { buffer, pending } = bufferOf();
    expect(buffer.send(bytes(60_000))).toBe(true);
    expect(buffer.send(bytes(60_000))).toBe(false);
    let woken = false;
    const room = buffer.ready().then(() => {
      woken = true;
    });
    await Promise.resolve();
    expect(woken).toBe(false);
    pending.shift()?.(); // 60,000 left
    await Promise.resolve();
    expect(woken).toBe(false);
    pending.shift()?.();
    await room;
  });

  test('a single message larger than the bound passes', () => {
    const { buffer, transmitted } = bufferOf();
    expect(buffer.send(bytes(400_000))).toBe(false);
    expect(transmitted).toHaveLength(1);
  });

  test('a producer that goes on regardless is reported', () => {
    const { buffer, events } = bufferOf();
    for (let n = 0; n < 4; n += 1) buffer.send(bytes(100_000));
    expect(events).toEqual([]);
    buffer.send(bytes(100_000));
    expect(events).toEqual(['overflow']);
  });

  test('many empty messages are bounded, too', () => {
    const { buffer } = bufferOf();
    let accepted = 0;
    while (buffer.send(bytes(0))) accepted += 1;
    expect(accepted).toBeLessThan(200);
  });

  test('the last step waits for what waits, not for what is in flight', () => {
    const { buffer, pending, events } = bufferOf();
    buffer.send(bytes(1));
    buffer.send(bytes(1));
    buffer.finish(() => events.push('last'));
    expect(buffer.send(bytes(1))).toBe(false);
    expect(events).toEqual([]);
    pending.shift()?.();
    expect(events).toEqual(['last']);
    pending.shift()?.();
    expect(events).toEqual(['last']);
  });

  test('closing rejects those who wait and sends nothing more', async () => {
    const { buffer, transmitted, pending } = bufferOf();
    const failure = new Failure('UNAVAILABLE', 'gone');
    buffer.send(bytes(60_000));
    buffer.send(bytes(60_000));
    const room = buffer.ready();
    buffer.close(failure);
    await expect(room).rejects.toBe(failure);
    await expect(buffer.ready()).rejects.toBe(failure);
    pending.shift()?.();
    expect(transmitted).toHaveLength(1);
  });

  test('order is kept and never more in flight than allowed', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.option(fc.integer({ min: 1, max: 90 }))),
        (inFlightMax, steps) => {
          const { buffer, transmitted, pending } = bufferOf(inFlightMax);
          const given: Buffer[] = [];
          for (const length of steps) {
            if (length === null) pending.shift()?.();
            else {
              given.push(bytes(length));
              buffer.send(given.at(-1) as Buffer);
            }
            expect(pending.length).toBeLessThanOrEqual(inFlightMax);
          }
          while (pending.length > 0) pending.shift()?.();
          expect(transmitted).toEqual(given);
        },
      ),
    );
  });
});
