import { randomBytes } from 'node:crypto';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { failureOf, soon } from '../support/scheduler-door.ts';
import { type RunningScheduler, SchedulerWorld } from '../support/scheduler-world.ts';

/**
 * Goal: a large picture goes over a slow link in the form that the model needs, the answer speaks of the original, and
 * nothing changes elsewhere. Method: brokers in memory, real gRPC, a real cutting process, a worker that shows what it got.
 */
const SIZE = { width: 900, height: 700 };
const SLOW_MBPS = 10;
/** Noise does not compress: 1.9 MB. */
let picture: Buffer;
let world: SchedulerWorld;
let beijing: RunningScheduler;

beforeAll(async () => {
  const pixels = randomBytes(SIZE.width * SIZE.height * 3);
  picture = await sharp(pixels, { raw: { ...SIZE, channels: 3 } })
    .png()
    .toBuffer();
});
beforeEach(async () => {
  world = await SchedulerWorld.open();
});
afterEach(() => world.close());

const preferring = (region: string) => ({ ...soon, metadata: { 'meridian-residency': `prefer=region:${region}` } });

/** @returns what the worker of shanghai was sent for a picture that enters in beijing, and what the caller is told */
async function sent(bandwidthMbps: number, bytes: Uint8Array, region: 'beijing' | 'shanghai' = 'shanghai') {
  world.bandwidthMbps = bandwidthMbps;
  beijing = await world.start('beijing');
  const shanghai = await world.start('shanghai');
  const door = await world.recognition(beijing);
  const worker = await world.worker(region, 'w1', [beijing, shanghai]);
  let received: Uint8Array | undefined;
  worker.answer = (self, key) => {
    received = self.picture(key);
    self.succeed(key);
  };
  const { result } = await door.recognize({ picture: bytes }, preferring(region));
  return { received: received ?? new Uint8Array(), result, door, worker };
}

describe('a large picture', () => {
  test('is shrunk for a slow link; the answer has the size of the original', async () => {
    const { received, result } = await sent(SLOW_MBPS, picture);
    expect(received.length).toBeLessThan(picture.length / 50);
    const { width, height, format } = await sharp(received).metadata();
    expect([width, height, format]).toEqual([64, 50, 'png']);
    // The worker itself says 8 × 6.
    expect(result?.outcome.value).toMatchObject(SIZE);
  });

  test.each([
    ['a fast link', 1000, 'shanghai'],
    ['the own region', SLOW_MBPS, 'beijing'],
  ] as const)('goes as it came: %s', async (_, bandwidthMbps, region) => {
    const { received, result } = await sent(bandwidthMbps, picture, region);
    expect(Buffer.from(received).equals(picture)).toBe(true);
    expect(result?.outcome.value).toMatchObject({ width: 8, height: 6 });
  });

  test('that is damaged goes as it came: the worker says what is wrong with it', async () => {
    const damaged = picture.subarray(0, picture.length - 1000);
    const { received, door, worker } = await sent(SLOW_MBPS, damaged);
    expect(Buffer.from(received).equals(damaged)).toBe(true);
    worker.answer = (self, key) =>
      self.fail(key, { code: 'INVALID_ARGUMENT', reason: 'PICTURE_TRUNCATED', retryable: false });
    const again = door.recognize({ picture: damaged, noCache: true }, preferring('shanghai'));
    expect(await failureOf(again)).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'PICTURE_TRUNCATED' });
  });
});
