import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { type Dot, parseDot, VersionVector } from '@meridian/causality';
import { RecognitionService } from '@meridian/contracts/recognition';
import { StateService } from '@meridian/contracts/state';
import { Failure } from '@meridian/failure';
import { createClient, type RpcClient } from '@meridian/rpc';
import { systemClock } from '@meridian/runtime';
import { addVersion, installedManifest } from '../rolls/versions.ts';
import type { RunningSystem } from '../support/local-system.ts';
import { until } from '../support/region-brokers.ts';

/**
 * Goal: no region that has seen a model change answers from what it remembers of the older one.
 * Method: three real regions that remember an answer are asked without a pause while an operator replaces the model in one
 * of them; every answer's own vector says whether its region had seen the change.
 */
const NAME = 'remembered';
const WRITER = 'beijing';
const CHANGE_MS = 90_000;
const PAUSE_MS = 2;
let running: RunningSystem;

interface Seen {
  readonly atMs: number;
  readonly vector: VersionVector;
  readonly modelDigest: string;
  readonly isCached: boolean;
}

/** @param current the system that the suite has started */
export function cache(current: () => RunningSystem): void {
  describe('the result cache', () => {
    let picture: Buffer;
    const doors = new Map<string, RpcClient<typeof RecognitionService>>();
    beforeAll(async () => {
      running = current();
      for (const region of running.system.regions.keys())
        doors.set(region, createClient(RecognitionService, await running.channel(region)));
      picture = await readFile(running.provisioned.samples[0]?.path ?? '');
    });

    async function ask(region: string): Promise<Seen | undefined> {
      try {
        const request = { picture, model: NAME };
        const { result, versionVector } = (await doors.get(region)?.recognize(request, { timeoutMs: 20_000 })) ?? {};
        const vector = VersionVector.parse(versionVector ?? '');
        if (result === undefined || vector === undefined) throw new Error('no answer');
        const { modelDigest, fromCache } = result;
        return { atMs: systemClock.monotonicMs(), vector, modelDigest, isCached: fromCache !== undefined };
      } catch (error) {
        // Until the model is known, and loaded, somewhere.
        if (['MODEL_UNKNOWN', 'MODEL_NOT_READY'].includes(Failure.from(error).reason)) return undefined;
        throw error;
      }
    }

    async function dotOf(digest: string): Promise<Dot | undefined> {
      const { models } = await createClient(StateService, await running.syncChannel(WRITER)).listModels({});
      return parseDot(models.find(({ modelDigest }) => modelDigest === digest)?.dot ?? '');
    }

    test(
      'does not outlive a model change in any region that has seen it',
      async () => {
        const regions = [...running.system.regions.keys()];
        const catalogue = await installedManifest(running, 'centernet-320');
        const old = await addVersion(running, WRITER, catalogue, NAME);
        for (const region of regions) await until(async () => (await ask(region))?.isCached ?? false, 30_000);
        const seen = new Map<string, Seen[]>(regions.map((region) => [region, []]));
        const coveredMs = new Map<string, number>();
        const done = new AbortController();
        const asking = regions.map(async (region) => {
          while (!done.signal.aborted) {
            const answer = await ask(region);
            if (answer !== undefined) seen.get(region)?.push(answer);
            // The older version was ready: this is the new one, which the region has heard of before its workers have it.
            else if (!coveredMs.has(region)) coveredMs.set(region, systemClock.monotonicMs());
            await systemClock.sleep(PAUSE_MS);
          }
        });
        await until(() => regions.every((region) => (seen.get(region)?.length ?? 0) >= 10));
        const fresh = await addVersion(running, WRITER, catalogue, NAME, { labelsShifted: 1 });
        const dot = await dotOf(fresh.digest);
        if (dot === undefined) throw new Error('the new version is not there');
        expect(fresh.digest).not.toBe(old.digest);
        const isNew = (answer: Seen) => answer.vector.contains(dot);
        await until(
          () => regions.every((region) => seen.get(region)?.some((answer) => isNew(answer) && answer.isCached)),
          60_000,
        ).finally(() => done.abort());
        await Promise.all(asking);
        for (const [region, own] of seen) {
          for (const answer of own) expect(answer.modelDigest).toBe(isNew(answer) ? fresh.digest : old.digest);
          expect(own.some((answer) => !isNew(answer) && answer.isCached)).toBe(true);
          const firstNewMs = own.find(isNew)?.atMs ?? Number.POSITIVE_INFINITY;
          coveredMs.set(region, Math.min(firstNewMs, coveredMs.get(region) ?? firstNewMs));
        }
        const firstMs = Math.min(...coveredMs.values());
        const after = [...coveredMs].map(([region, atMs]) => `${region} ${(atMs - firstMs).toFixed(0)} ms`);
        process.stdout.write(`a model change seen by calls, after the first region: ${after.join(', ')}\n`);
      },
      CHANGE_MS,
    );
  });
}
