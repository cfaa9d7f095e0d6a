import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { subject } from '@meridian/contracts';
import { LinkEmulator } from '@meridian/links';
import { ensureCatalogue } from '@meridian/models';
import { openModel, type RecognizedObject } from '@meridian/recognition';
import { systemClock } from '@meridian/runtime';
import sharp from 'sharp';
import { largePhotograph } from '../support/large-photograph.ts';
import { modelDirectory, photograph } from '../support/photographs.ts';
import { failureOf, soon } from '../support/scheduler-door.ts';
import { MODEL, type RunningScheduler, SchedulerWorld, until } from '../support/scheduler-world.ts';

/**
 * Goal: a large picture goes over a slow link in the form that the model needs, the answer speaks of the original, and
 * nothing changes elsewhere. Method: brokers in memory, real gRPC, a real cutting process, a worker that shows what it got;
 * and once, through the link emulator, with the real model on a real photograph.
 */
jest.setTimeout(60_000);

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

/** Pixels of a side: 7.8 million together. */
const SIDE = 2_800;
const LINK_MBPS = 4;
/** Fewer say nothing of a link. */
const TRANSFERS = 8;
const INPUT = { width: 320, height: 320, fit: 'letterbox' };

describe('a photograph of several megabytes', () => {
  const emulator = new LinkEmulator();
  let model: Awaited<ReturnType<typeof openCentreNet>>;
  let large: Buffer;

  beforeAll(async () => {
    large = await largePhotograph(await photograph('astronaut.png'), SIDE);
    model = await openCentreNet();
  });
  afterAll(async () => {
    await emulator.close();
    await model.close();
  });

  const emulated = (name: string) =>
    emulator.open({
      ...{ name, link: ['shanghai', 'beijing'], target: { host: '127.0.0.1', port: beijing.port } },
      ...{ oneWayDelayMs: 10, bandwidthMbps: LINK_MBPS },
    });

  test(`over a link of ${LINK_MBPS} Mbit/s: a tenth of its bytes, the same answer, and sooner than its bytes alone`, async () => {
    expect(large.length).toBeGreaterThan(3_000_000);
    world.bandwidthMbps = LINK_MBPS;
    world.input = INPUT;
    beijing = await world.start('beijing');
    const shanghai = await world.start('shanghai');
    const door = await world.recognition(beijing);
    const link = await emulated('whole');
    const worker = await world.worker('shanghai', 'w1', [{ region: 'beijing', port: link.port }, shanghai]);
    let received = 0;
    worker.answer = (self, key) => {
      const sent = self.picture(key) ?? new Uint8Array();
      received = sent.length;
      void model.recognize(sent).then(({ recognition }) => {
        self.objects = onTheWire(recognition.objects);
        self.succeed(key);
      });
    };
    const beganMs = systemClock.monotonicMs();
    const options = { ...preferring('shanghai'), timeoutMs: 40_000 };
    const { result } = await door.recognize({ picture: large, model: MODEL.name }, options);
    const tookMs = systemClock.monotonicMs() - beganMs;

    const crossed = emulator.stats().find(({ name }) => name === 'whole')?.bytesBack ?? 0;
    expect(received).toBeGreaterThan(0);
    expect(crossed).toBeGreaterThan(received);
    expect(crossed).toBeLessThan(large.length / 10);
    expect(tookMs).toBeLessThan((large.length * 8) / (LINK_MBPS * 1_000));
    expect(result?.region).toBe('shanghai');
    const { recognition: whole } = await model.recognize(large);
    const found = result?.outcome.case === 'recognition' ? result.outcome.value : undefined;
    expect(found).toMatchObject({ width: SIDE, height: SIDE });
    expect(whole.objects.map(({ label }) => label)).toContain('person');
    expect(inPixels(found?.objects ?? [])).toEqual(inPixels(onTheWire(whole.objects)));
  });

  test('in that form says what the link carries, where regions.yaml has more', async () => {
    world.bandwidthMbps = 5 * LINK_MBPS;
    world.input = INPUT;
    beijing = await world.start('beijing');
    const shanghai = await world.start('shanghai');
    const door = await world.recognition(beijing);
    const links: { readonly bandwidthMbps: number; readonly transfers: number }[] = [];
    world
      .bus('beijing', 'test')
      .subscribe(
        subject('demand', { origin: 'beijing' }),
        'meridian.telemetry.demand.v1',
        ({ data }) => void links.push(...data.links),
      );
    const link = await emulated('measured');
    const worker = await world.worker('shanghai', 'w1', [{ region: 'beijing', port: link.port }, shanghai]);
    const sizes: number[] = [];
    worker.answer = (self, key) => {
      sizes.push(self.picture(key)?.length ?? 0);
      self.succeed(key);
    };
    for (let n = 0; n < TRANSFERS; n++) await door.recognize({ picture: large, noCache: true }, preferring('shanghai'));
    expect(Math.max(...sizes)).toBeLessThan(large.length / 10);
    await until(() => links.some(({ transfers }) => transfers >= TRANSFERS));
    const measured = links.find(({ transfers }) => transfers >= TRANSFERS)?.bandwidthMbps;
    expect(measured).toBeGreaterThan(LINK_MBPS / 4);
    expect(measured).toBeLessThan(1.5 * LINK_MBPS);
  });
});

async function openCentreNet() {
  const entry = (await ensureCatalogue({ directory: modelDirectory })).find(({ name }) => name === MODEL.name);
  if (entry === undefined) throw new Error(`no model ${MODEL.name}`);
  const paths = new Map(entry.blobs.map(({ digest, path }) => [digest, path]));
  const read = (digest: string) => Promise.resolve(paths.get(digest) ?? '');
  return openModel({ manifest: entry.manifest, read, clock: systemClock });
}

function onTheWire(objects: readonly RecognizedObject[]) {
  return objects.map(({ label, score, box }) => ({ label, score, ...(box && { box: { ...box } }) }));
}

interface Found {
  readonly label: string;
  readonly box?: Readonly<Record<'x0' | 'y0' | 'x1' | 'y1', number>> | undefined;
}

/** Boxes in pixels of the original. */
function inPixels(objects: readonly Found[]) {
  const pixels = (part = 0) => Math.round(part * SIDE);
  return objects.map(({ label, box }) => ({
    label,
    box: [pixels(box?.x0), pixels(box?.y0), pixels(box?.x1), pixels(box?.y1)],
  }));
}
