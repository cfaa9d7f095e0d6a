import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { CutOrder } from '@meridian/recognition/picture-cutter';
import { createLogger, systemClock, VirtualClock } from '@meridian/runtime';
import sharp from 'sharp';
import { Cutter } from './cutter.ts';
import type { CuttingListener } from './cutting-process.ts';

/** Goal: pictures are cut in a process of their own, and its death or silence is one picture's failure. Method: real processes. */
const logger = createLogger({ name: 'test', region: 'beijing', level: 'silent' });
const order: CutOrder = {
  input: { width: 64, height: 64, fit: 'letterbox' },
  ...{ tilesMax: 9, overlapShare: 0.2, lossy: false },
};
let picture: Buffer;
let cutter: Cutter;

beforeAll(async () => {
  picture = await sharp({ create: { width: 300, height: 200, channels: 3, background: '#4080c0' } })
    .jpeg()
    .toBuffer();
});
beforeEach(() => {
  cutter = new Cutter({ clock: systemClock, logger });
});
afterEach(() => cutter.stop());

describe('a real process', () => {
  test('cuts, one picture after the other, and lives on after hostile ones', async () => {
    expect(cutter.pid).toBe(0);
    const good = cutter.cut(picture, order);
    const bad = cutter.cut(picture.subarray(0, 200), order);
    const again = cutter.cut(picture, order);
    await expect(bad).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'PICTURE_TRUNCATED',
      retryable: false,
    });
    const { picture: size, pieces } = await good;
    expect(size).toEqual({ width: 300, height: 200 });
    expect(pieces).toHaveLength(9);
    expect(pieces.map(({ bytes }) => Buffer.from(bytes).toString('base64'))).toEqual(
      (await again).pieces.map(({ bytes }) => Buffer.from(bytes).toString('base64')),
    );
  });

  test('that is killed fails its picture; the next one has a new process', async () => {
    const lost = cutter.cut(picture, order);
    const first = cutter.pid;
    expect(first).toBeGreaterThan(0);
    const next = cutter.cut(picture, order);
    process.kill(first, 'SIGKILL');
    await expect(lost).rejects.toMatchObject({ code: 'INTERNAL', reason: 'PICTURE_CRASHED_CUTTER' });
    expect((await next).pieces).toHaveLength(9);
    expect(cutter.pid).not.toBe(first);
  });
});

describe('a process that', () => {
  const killed: number[] = [];
  let listener: CuttingListener | undefined;
  let sent = 0;
  let clock: VirtualClock;
  let scripted: Cutter;
  beforeEach(() => {
    [killed.length, sent, clock] = [0, 0, new VirtualClock(0)];
    let pid = 0;
    const startProcess = (given: CuttingListener) => {
      listener = given;
      const own = ++pid;
      const kill = (): void => {
        killed.push(own);
        given.exited('SIGKILL');
      };
      return { pid: own, send: () => void sent++, kill };
    };
    scripted = new Cutter({ clock, logger, startProcess });
  });

  test('does not answer is ended at its time, and so is one that has nothing to do', async () => {
    const late = scripted.cut(picture, order);
    clock.advance(25_000);
    await expect(late).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED', reason: 'PICTURE_CUT_TIMEOUT' });
    expect(killed).toEqual([1]);
    const second = scripted.cut(picture, order);
    const text = { residentBytes: 1, picture: { width: 3, height: 2 }, pieces: [] };
    listener?.message({ text, body: Buffer.alloc(0) });
    expect(await second).toEqual({ picture: { width: 3, height: 2 }, pieces: [] });
    clock.advance(29_999);
    expect(killed).toEqual([1]);
    clock.advance(1);
    expect(killed).toEqual([1, 2]);
  });

  test('says by what it took how long the next pictures wait and take', async () => {
    const large = await sharp({ create: { width: 1000, height: 1000, channels: 3, background: '#4080c0' } })
      .jpeg()
      .toBuffer();
    const shrink = { ...order, tilesMax: 1 };
    const answer = { residentBytes: 1, picture: { width: 1000, height: 1000 }, pieces: [] };
    const startMs = scripted.aheadMs;
    expect(startMs).toBeGreaterThan(0);
    const rate = scripted.shrinkMsPerMegapixel;
    expect(scripted.shrunkInMs(2_000_000)).toBeCloseTo(startMs + 2 * rate);
    const both = [scripted.cut(large, shrink), scripted.cut(large, shrink)];
    // The process is there, and two are before whoever comes now.
    expect(scripted.aheadMs).toBeCloseTo(2 * rate);
    clock.advance(1_000);
    listener?.message({ text: answer, body: Buffer.alloc(0) });
    await both[0];
    // The first one of a process says nothing of pictures.
    expect([scripted.aheadMs, scripted.shrinkMsPerMegapixel]).toEqual([rate, rate]);
    clock.advance(2 * rate);
    listener?.message({ text: answer, body: Buffer.alloc(0) });
    await both[1];
    expect(scripted.aheadMs).toBe(0);
    expect(scripted.shrinkMsPerMegapixel).toBeGreaterThan(rate);
  });

  test('talks nonsense is ended; one that has grown large is replaced after its picture', async () => {
    const lost = scripted.cut(picture, order);
    listener?.message({ text: 'hello', body: Buffer.alloc(0) });
    await expect(lost).rejects.toMatchObject({ reason: 'PICTURE_CRASHED_CUTTER' });
    const large = scripted.cut(picture, order);
    const text = { residentBytes: 2 ** 30, picture: { width: 3, height: 2 }, pieces: [] };
    listener?.message({ text, body: Buffer.alloc(0) });
    await large;
    expect([killed, sent, scripted.pid]).toEqual([[1, 2], 2, 0]);
  });

  test('has work when the service stops fails it as such, with all that wait', async () => {
    const both = [scripted.cut(picture, order), scripted.cut(picture, order)];
    await scripted.stop();
    for (const one of both) await expect(one).rejects.toMatchObject({ code: 'UNAVAILABLE', reason: 'STOPPING' });
    expect([killed, sent]).toEqual([[1], 1]);
  });
});
