import { beforeAll, describe, expect, test } from '@jest/globals';
import { submitJob, watchJob } from '@meridian/cli';
import { JobState, PriorityClass, RecognitionService } from '@meridian/contracts/recognition';
import { createClient } from '@meridian/rpc';
import { systemClock, systemRandom } from '@meridian/runtime';
import { jobDoor, jobPictures, runJob } from '../faults/job.ts';
import { lastJobSequence } from '../faults/observe.ts';
import { type Picture, variations } from '../faults/pictures.ts';
import type { RunningSystem } from '../support/local-system.ts';

/** Goal: who is urgent passes who is not. Method: paced workers, so that a busy machine does not decide what passes whom. */
const PICTURES_MS = 60_000;
const JOB_MS = 90_000;
let running: RunningSystem;
let pictures: readonly Picture[];

/** @param current the system that the suite has started, its workers paced */
export function priority(current: () => RunningSystem): void {
  describe('priority', () => {
    beforeAll(async () => {
      running = current();
      const samples = running.provisioned.samples.map(({ path }) => path);
      pictures = await variations(samples, 520, 3, 320);
    }, PICTURES_MS);

    async function submit(key: string, priorityClass: PriorityClass, some: readonly Picture[]) {
      const ports = { door: jobDoor(await running.channel('beijing')), clock: systemClock, random: systemRandom };
      const header = { idempotencyKey: key, model: '', priority: priorityClass };
      return { ports, jobId: await submitJob({ ...ports, header, pictures: jobPictures(some) }) };
    }

    test(
      '20 high tasks submitted behind 500 low ones finish among the next 60',
      async () => {
        // In service: every region has worked for the origin before.
        await runJob({
          channel: await running.channel('beijing'),
          pictures: pictures.slice(0, 60),
          model: '',
          key: 'warm',
          onResult: () => undefined,
        });
        const low = await submit('low', PriorityClass.LOW, pictures.slice(0, 500));
        const finishedLow: number[] = [];
        const watchLow = (async () => {
          for await (const update of watchJob({ ...low.ports, jobId: low.jobId }))
            if (update.kind === 'result') finishedLow.push(Number(update.cursor));
        })();
        const monitor = running.system.region('beijing').settings.plan.ports.monitor;
        const high = await submit('high', PriorityClass.HIGH, pictures.slice(500, 520));
        const submittedAt = await lastJobSequence(monitor);
        let lastHigh = 0;
        for await (const update of watchJob({ ...high.ports, jobId: high.jobId }))
          if (update.kind === 'result') lastHigh = Number(update.cursor);
        const waitingLow = 500 - finishedLow.filter((cursor) => cursor < submittedAt).length;
        const client = createClient(RecognitionService, await running.channel('beijing'));
        await client.cancelJob({ jobId: low.jobId }, { timeoutMs: 10_000 });
        await watchLow;
        // Results of all jobs share the stream's sequence, so these are the low ones that finished in between.
        const between = finishedLow.filter((cursor) => cursor > submittedAt && cursor < lastHigh).length;
        process.stderr.write(`20 high tasks finished among the next ${between + 20}\n`);
        expect(waitingLow).toBeGreaterThan(60);
        expect(between + 20).toBeLessThanOrEqual(60);
        const { job } = await client.getJob({ jobId: low.jobId }, { timeoutMs: 10_000 });
        expect(job?.state).toBe(JobState.CANCELLED);
      },
      JOB_MS,
    );
  });
}
