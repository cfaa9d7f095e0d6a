import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { VersionVector } from '@meridian/causality';
import { type Job, JobState, RecognitionService } from '@meridian/contracts/recognition';
import { RegionHealth, RegionService } from '@meridian/contracts/region';
import { StateService } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { type CallOptions, createClient, type RpcClient } from '@meridian/rpc';
import { systemClock } from '@meridian/runtime';
import sharp from 'sharp';
import { type FinishedJob, runJob } from '../faults/job.ts';
import { type Picture, variations } from '../faults/pictures.ts';
import type { RunningSystem } from '../support/local-system.ts';

/**
 * Goal: the main job, as a user sees it. Method: three real regions with links, the default models, Debian's
 * photographs, and the doors that clients use.
 */
let running: RunningSystem;
let door: RpcClient<typeof RecognitionService>;
let astronaut: Buffer;

/** @param current the system that the suite has started */
export function recognition(current: () => RunningSystem): void {
  describe('recognition', () => {
    beforeAll(async () => {
      running = current();
      // The product's decoder, when another test loaded it into this process, has switched SVG off for all.
      sharp.unblock({ operation: ['VipsForeignLoadSvgBuffer'] });
      door = createClient(RecognitionService, await running.channel('beijing'));
      const sample = running.provisioned.samples.find(({ file }) => file.startsWith('astronaut'));
      if (sample === undefined) throw new Error('no photograph of the astronaut');
      astronaut = await readFile(sample.path);
    });

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
        const texts =
          result?.outcome.case === 'recognition' ? result.outcome.value.objects.map(({ text }) => text) : [];
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
        const expired = await failureOf(
          door.recognize({ picture: astronaut }, { deadlineMs: systemClock.nowMs() - 1 }),
        );
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
      const region = 'guangzhou';
      const CUT_OFF_MS = 120_000;
      let pictures: readonly Picture[];

      beforeAll(async () => {
        const photographs = running.provisioned.samples.map(({ path }) => path);
        pictures = await variations(photographs, 60, 11, 320);
        for (const peer of running.system.regions.keys())
          if (peer !== region) running.system.emulator.cut(peer, region);
      }, CUT_OFF_MS);

      afterAll(() => running.system.emulator.heal());

      /** Submits and watches a job there to its end: every picture is answered once, and there. */
      async function finish(
        key: string,
        some: readonly Picture[],
        onResult: (count: number) => void = () => undefined,
      ): Promise<FinishedJob & { job: Job }> {
        const channel = await running.channel(region);
        const finished = await runJob({ channel, pictures: some, model: '', key, onResult });
        const digests = finished.answers.map(({ digest }) => digest);
        expect(digests.toSorted()).toEqual(some.map(({ digest }) => digest).toSorted());
        expect([...finished.regions.keys()]).toEqual([region]);
        const { job } = await createClient(RecognitionService, channel).getJob({ jobId: finished.jobId }, soon());
        expect(job).toMatchObject({ state: JobState.FINISHED, succeeded: some.length, failed: 0 });
        if (job === undefined) throw new Error('no job');
        return { ...finished, job };
      }

      test(
        'answers, and accepts and finishes jobs',
        async () => {
          const alone = createClient(RecognitionService, await running.channel(region));
          const { result } = await alone.recognize({ picture: astronaut, noCache: true }, soon());
          expect(result?.region).toBe(region);
          // What it remembers says which model version, and what of the shared state, it comes from.
          const { result: kept } = await alone.recognize({ picture: astronaut }, soon());
          const { result: again, versionVector } = await alone.recognize({ picture: astronaut }, soon());
          expect(again?.modelDigest).toBe(kept?.modelDigest);
          expect(again?.outcome).toEqual(kept?.outcome);
          expect(again?.fromCache?.taskId).not.toBe(again?.taskId);
          const from = VersionVector.parse(again?.fromCache?.versionVector ?? '');
          expect(from !== undefined && VersionVector.parse(versionVector)?.dominates(from)).toBe(true);
          await finish('cut off', pictures.slice(0, 10));
        },
        CUT_OFF_MS,
      );

      test(
        'restarts cut off, then finishes what it had accepted before, and goes on accepting and answering',
        async () => {
          let restarted: Promise<number> | undefined;
          const restart = async (): Promise<number> => {
            await running.system.region(region).kill();
            const killedMs = systemClock.nowMs();
            await running.system.region(region).start();
            return killedMs;
          };
          const killAmongResults = (count: number): void => {
            if (count >= 5) restarted ??= restart();
          };
          const interrupted = pictures.slice(10, 50);
          const first = await finish('interrupted', interrupted, killAmongResults);
          expect(Number(first.job.finishedUnixMs)).toBeGreaterThan((await restarted) ?? Number.POSITIVE_INFINITY);
          // The key still stands for the job, and a watch from the beginning shows what the first one saw.
          const again = await finish('interrupted', interrupted);
          expect([again.jobId, again.answers]).toEqual([first.jobId, first.answers]);

          await finish('after the restart', pictures.slice(50));
          const alone = createClient(RecognitionService, await running.channel(region));
          const { result } = await alone.recognize({ picture: astronaut, noCache: true }, soon());
          expect(result?.region).toBe(region);
          // Since the restart it has heard of nobody else: all this it did alone.
          const { regions } = await createClient(RegionService, await running.channel(region)).listRegions({}, soon());
          expect(regions.filter(({ health }) => health === RegionHealth.UP).map(({ name }) => name)).toEqual([region]);
        },
        CUT_OFF_MS,
      );
    });
  });
}
