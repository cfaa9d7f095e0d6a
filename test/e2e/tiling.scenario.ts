import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { submitJob, watchJob } from '@meridian/cli';
import { type Recognition, RecognitionService, type TaskResult } from '@meridian/contracts/recognition';
import { awaitModels } from '@meridian/local';
import { createClient, type RpcClient } from '@meridian/rpc';
import { systemClock, systemRandom } from '@meridian/runtime';
import sharp from 'sharp';
import { jobDoor, jobPictures } from '../faults/job.ts';
import type { Picture } from '../faults/pictures.ts';
import type { RunningSystem } from '../support/local-system.ts';

/**
 * Goal: in a large photograph small objects are found with tiles that are missed without, what a tile border cuts comes out
 * once, and the death of a worker or of the scheduler changes nothing of the result.
 * Method: a mosaic of Debian's photographs, made here; three real regions with the default model; processes are killed.
 */
const SIZE = { width: 1920, height: 1440 };
const TILES = 9;
const MOSAIC_MS = 60_000;
const TILED_MS = 120_000;
const JOB_PICTURES = 8;
let running: RunningSystem;

/** Where a photograph was put: pixels of the mosaic. */
interface Placed {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** @param current the system that the suite has started */
export function tiling(current: () => RunningSystem): void {
  describe('tiling', () => {
    let door: RpcClient<typeof RecognitionService>;
    let mosaic: Buffer;
    let smallCat: Placed;
    let smallPerson: Placed;
    /** Larger than what two neighbouring tiles share: both see a part of it. */
    let cutPerson: Placed;

    beforeAll(async () => {
      running = current();
      door = createClient(RecognitionService, await running.channel('beijing'));
      const overlays: { left: number; top: number; input: Buffer }[] = [];
      const put = async (name: string, width: number, left: number, top: number): Promise<Placed> => {
        const sample = running.provisioned.samples.find(({ file }) => basename(file).startsWith(name));
        if (sample === undefined) throw new Error(`no photograph ${name}`);
        const resized = sharp(sample.path).removeAlpha().resize({ width }).png();
        const { data: input, info } = await resized.toBuffer({ resolveWithObject: true });
        overlays.push({ left, top, input });
        return { left, top, width: info.width, height: info.height };
      };
      smallCat = await put('chelsea', 180, 200, 1150);
      smallPerson = await put('astronaut', 130, 1600, 1200);
      cutPerson = await put('astronaut', 420, 500, 480);
      const grey = sharp({ create: { ...SIZE, channels: 3, background: '#808078' } });
      mosaic = await grey.composite(overlays).jpeg({ quality: 92 }).toBuffer();
    }, MOSAIC_MS);

    afterAll(() => awaitModels(running.system, systemClock), TILED_MS);

    const recognitionOf = (result: TaskResult | undefined): Recognition => {
      if (result?.outcome.case !== 'recognition') throw new Error(`no recognition: ${JSON.stringify(result?.outcome)}`);
      return result.outcome.value;
    };

    /** Objects with that label whose middle is in the place. */
    function found({ objects }: Recognition, label: string, { left, top, width, height }: Placed) {
      return objects.filter(({ label: name, box }) => {
        const x = (((box?.x0 ?? 0) + (box?.x1 ?? 0)) / 2) * SIZE.width;
        const y = (((box?.y0 ?? 0) + (box?.y1 ?? 0)) / 2) * SIZE.height;
        return name === label && x > left && x < left + width && y > top && y < top + height;
      });
    }

    test(
      'finds small objects that are missed without, and one that a tile border cuts once',
      async () => {
        const options = { timeoutMs: 30_000 };
        const without = recognitionOf((await door.recognize({ picture: mosaic }, options)).result);
        expect([found(without, 'cat', smallCat), found(without, 'person', smallPerson)]).toEqual([[], []]);
        const { result } = await door.recognize({ picture: mosaic, tiling: { maxTiles: TILES } }, options);
        const merged = recognitionOf(result);
        expect([merged.width, merged.height]).toEqual([SIZE.width, SIZE.height]);
        expect(found(merged, 'cat', smallCat)).toHaveLength(1);
        expect(found(merged, 'person', smallPerson)).toHaveLength(1);
        expect(result?.tiles).toHaveLength(TILES + 1);
        const tiles = result?.tiles.slice(0, -1) ?? [];
        const touched = tiles.filter(
          ({ left, top, width, height }) =>
            left < cutPerson.left + cutPerson.width &&
            left + width > cutPerson.left &&
            top < cutPerson.top + cutPerson.height &&
            top + height > cutPerson.top,
        );
        expect(touched.filter(({ objects }) => objects > 0).length).toBeGreaterThan(1);
        const persons = found(merged, 'person', cutPerson);
        expect(persons).toHaveLength(1);
        expect(((persons[0]?.box?.x1 ?? 0) - (persons[0]?.box?.x0 ?? 0)) * SIZE.width).toBeGreaterThan(250);
      },
      TILED_MS,
    );

    /** Different pictures with the same things in them. */
    async function variationsOfMosaic(): Promise<Picture[]> {
      return Promise.all(
        Array.from({ length: JOB_PICTURES }, async (_, i) => {
          const brighter = sharp(mosaic).modulate({ brightness: 1 + i / 100 });
          const bytes = await brighter.jpeg({ quality: 92 }).toBuffer();
          return { name: `mosaic ${i}`, bytes, digest: createHash('sha256').update(bytes).digest('hex') };
        }),
      );
    }

    async function run(key: string, pictures: readonly Picture[], onResult: (count: number) => void) {
      const ports = { door: jobDoor(await running.channel('beijing')), clock: systemClock, random: systemRandom };
      const header = { idempotencyKey: key, tiling: { maxTiles: TILES } };
      const jobId = await submitJob({ ...ports, header, pictures: jobPictures(pictures) });
      const results: TaskResult[] = [];
      for await (const update of watchJob({ ...ports, jobId })) {
        if (update.kind !== 'result') continue;
        results.push(update.result);
        onResult(results.length);
      }
      return results.toSorted((a, b) => a.index - b.index);
    }

    const contentOf = (results: readonly TaskResult[]) =>
      results.map((result) => [result.index, JSON.stringify(recognitionOf(result))]);

    test(
      'of a job runs in several regions, and gives the same though a worker, then the scheduler is killed',
      async () => {
        const pictures = await variationsOfMosaic();
        const undisturbed = await run('mosaics', pictures, () => undefined);
        expect(undisturbed.map(({ index }) => index)).toEqual(Array.from({ length: JOB_PICTURES }, (_, i) => i));
        const regions = new Set(undisturbed.flatMap(({ tiles }) => tiles.map(({ region }) => region)));
        expect(regions.size).toBeGreaterThan(1);

        const killed: string[] = [];
        const kill = (count: number): void => {
          const service = ['inference-worker', 'scheduler'][killed.length];
          if (service === undefined || count < 1 + 2 * killed.length) return;
          running.system.process('beijing', service).signal('SIGKILL');
          killed.push(service);
        };
        const disturbed = await run('mosaics-disturbed', pictures, kill);
        expect(killed).toEqual(['inference-worker', 'scheduler']);
        expect(contentOf(disturbed)).toEqual(contentOf(undisturbed));
      },
      TILED_MS,
    );
  });
}
