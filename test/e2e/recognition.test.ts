import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { RecognitionService } from '@meridian/contracts/recognition';
import { StateService } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { type CallOptions, createClient, type RpcClient } from '@meridian/rpc';
import { systemClock } from '@meridian/runtime';
import sharp from 'sharp';
import { type RunningSystem, startLocalSystem } from '../support/local-system.ts';

/**
 * Goal: the main job, as a user sees it. Method: three real regions with links, the default models, Debian's
 * photographs, and the doors that clients use.
 */
const START_MS = 120_000;
let running: RunningSystem;
let door: RpcClient<typeof RecognitionService>;
let astronaut: Buffer;

beforeAll(async () => {
  // The product's decoder, when another test loaded it into this process, has switched SVG off for all.
  sharp.unblock({ operation: ['VipsForeignLoadSvgBuffer'] });
  running = await startLocalSystem();
  door = createClient(RecognitionService, await running.channel('beijing'));
  const sample = running.provisioned.samples.find(({ file }) => file.startsWith('astronaut'));
  if (sample === undefined) throw new Error('no photograph of the astronaut');
  astronaut = await readFile(sample.path);
}, START_MS);

afterAll(() => running?.stop(), START_MS);

/** The failure that a call ends in. */
async function failureOf(call: Promise<unknown>): Promise<Failure> {
  return call.then(
    () => {
      throw new Error('the call succeeded');
    },
    (error: unknown) => Failure.from(error),
  );
}

const soon = (): CallOptions => ({ timeoutMs: 30_000 });

async function labelsOf(picture: Buffer, model = ''): Promise<string[]> {
  const { result } = await door.recognize({ picture, model }, soon());
  return result?.outcome.case === 'recognition' ? result.outcome.value.objects.map((object) => object.label) : [];
}

describe('photographs', () => {
  test.each(['beijing', 'shanghai', 'guangzhou'])('are recognised through %s', async (region) => {
    const client = createClient(RecognitionService, await running.channel(region));
    for (const sample of running.provisioned.samples) {
      const { result, versionVector } = await client.recognize({ picture: await readFile(sample.path) }, soon());
      expect(result?.entryRegion).toBe(region);
      const found =
        result?.outcome.case === 'recognition' ? result.outcome.value.objects.map(({ label }) => label) : [];
      expect(found).toEqual(expect.arrayContaining([...sample.labels]));
      expect(versionVector).toMatch(/@/);
    }
  });

  test('in other colour spaces, depths and orientations are recognised upright', async () => {
    const jpeg = sharp(astronaut).flatten();
    const forms = {
      cmyk: await jpeg.clone().toColourspace('cmyk').jpeg().toBuffer(),
      'sixteen bits': await jpeg.clone().toColourspace('rgb16').png().toBuffer(),
      grey: await jpeg.clone().greyscale().jpeg().toBuffer(),
      alpha: await sharp(astronaut).ensureAlpha(0.9).png().toBuffer(),
      webp: await jpeg.clone().webp().toBuffer(),
      'rotated by EXIF': await jpeg.clone().rotate(-90).withMetadata({ orientation: 6 }).jpeg().toBuffer(),
    };
    for (const [form, picture] of Object.entries(forms))
      expect([form, await labelsOf(picture)]).toEqual([form, expect.arrayContaining(['person'])]);
  });

  test('with other models: faces and text', async () => {
    expect(await labelsOf(astronaut, 'blazeface')).toContain('face');
    const svg =
      '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="200"><rect width="640" height="200" fill="white"/><text x="40" y="120" font-size="72" font-family="sans-serif">HELLO 2026</text></svg>';
    const { result } = await door.recognize(
      { picture: await sharp(Buffer.from(svg)).png().toBuffer(), model: 'ppocr' },
      soon(),
    );
    const texts = result?.outcome.case === 'recognition' ? result.outcome.value.objects.map(({ text }) => text) : [];
    expect(texts.join(' ').replaceAll(' ', '')).toContain('HELLO2026');
  });
});

describe('bad input gets its own answer', () => {
  const small = () => sharp({ create: { width: 64, height: 64, channels: 3, background: 'red' } });

  test('pictures', async () => {
    const jpeg = await sharp(astronaut).flatten().jpeg().toBuffer();
    const noise = await sharp({ create: { width: 6000, height: 5000, channels: 3, background: 'blue' } })
      .png()
      .toBuffer();
    const table: [string, Uint8Array, string][] = [
      ['empty', new Uint8Array(), 'PICTURE_EMPTY'],
      ['truncated', jpeg.subarray(0, jpeg.length / 2), 'PICTURE_TRUNCATED'],
      ['not a picture', Buffer.from('this is text, not a picture'), 'PICTURE_FORMAT'],
      ['GIF', await small().gif().toBuffer(), 'PICTURE_FORMAT'],
      ['TIFF', await small().tiff().toBuffer(), 'PICTURE_FORMAT'],
      ['AVIF', await small().avif().toBuffer(), 'PICTURE_FORMAT'],
      ['SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'), 'PICTURE_FORMAT'],
      ['30 megapixels', noise, 'PICTURE_TOO_MANY_PIXELS'],
      ['over 16 MiB', Buffer.concat([jpeg, Buffer.alloc(16 * 2 ** 20)]), 'PICTURE_TOO_LARGE'],
    ];
    for (const [what, picture, reason] of table) {
      const failure = await failureOf(door.recognize({ picture }, soon()));
      expect([what, failure.code, failure.reason]).toEqual([what, 'INVALID_ARGUMENT', reason]);
    }
    expect(await labelsOf(astronaut)).toContain('person');
  });

  test('unknown model, unknown region, expired deadline', async () => {
    const unknownModel = await failureOf(door.recognize({ picture: astronaut, model: 'no-such-model' }, soon()));
    expect([unknownModel.code, unknownModel.reason]).toEqual(['NOT_FOUND', 'MODEL_UNKNOWN']);
    expect(unknownModel.message).toContain('centernet-320');
    const unknownRegion = await failureOf(
      door.recognize({ picture: astronaut, residency: { regions: ['atlantis'] } }, soon()),
    );
    expect(unknownRegion.reason).toBe('REGION_UNKNOWN');
    const expired = await failureOf(door.recognize({ picture: astronaut }, { deadlineMs: systemClock.nowMs() - 1 }));
    expect(expired.code).toBe('DEADLINE_EXCEEDED');
  });

  test('an idempotency key that comes back with another picture', async () => {
    const other = await small().jpeg().toBuffer();
    await door.recognize({ picture: astronaut, idempotencyKey: 'same' }, soon());
    const again = await door.recognize({ picture: astronaut, idempotencyKey: 'same' }, soon());
    expect(again.result?.taskId).not.toBe('');
    const failure = await failureOf(door.recognize({ picture: other, idempotencyKey: 'same' }, soon()));
    expect([failure.code, failure.reason]).toEqual(['ALREADY_EXISTS', 'IDEMPOTENCY_KEY_REUSED']);
  });

  test('a client may not do what an operator may', async () => {
    const state = createClient(StateService, await running.syncChannel('beijing', 'client'));
    const failure = await failureOf(state.reportReady({ modelDigest: 'x', worker: 'x', ready: true }, soon()));
    expect(failure.code).toBe('PERMISSION_DENIED');
  });
});

describe('a region that is cut off', () => {
  test('accepts and answers, also after a restart while it is cut off', async () => {
    const { system } = running;
    system.emulator.cut('beijing', 'guangzhou');
    system.emulator.cut('shanghai', 'guangzhou');
    const alone = createClient(RecognitionService, await running.channel('guangzhou'));
    const before = await alone.recognize({ picture: astronaut }, soon());
    expect(before.result?.region).toBe('guangzhou');
    await system.region('guangzhou').kill();
    await system.region('guangzhou').start();
    const after = await alone.recognize({ picture: astronaut }, soon());
    expect(after.result?.region).toBe('guangzhou');
    system.emulator.heal();
  }, 60_000);
});
