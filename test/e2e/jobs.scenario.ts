import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { submitJob } from '@meridian/cli';
import { PriorityClass } from '@meridian/contracts/recognition';
import { RegionService, type Span } from '@meridian/contracts/region';
import { awaitModels } from '@meridian/local';
import { createClient } from '@meridian/rpc';
import { systemClock, systemRandom } from '@meridian/runtime';
import { jobDoor, jobPictures, runJob } from '../faults/job.ts';
import { type Picture, variations } from '../faults/pictures.ts';
import { type RunningSystem, repository } from '../support/local-system.ts';

/** Goal: jobs keep their promises while things break. Method: real processes, killed. */
const PICTURES_MS = 60_000;
const SETTLED_MS = 120_000;
const JOB_MS = 90_000;
let running: RunningSystem;
let pictures: readonly Picture[];

/** @param current the system that the suite has started */
export function jobs(current: () => RunningSystem): void {
  describe('jobs', () => {
    beforeAll(async () => {
      running = current();
      pictures = await variations(
        running.provisioned.samples.map(({ path }) => path),
        520,
        3,
        320,
      );
    }, PICTURES_MS);

    // Regions have died and come back: the next scenario finds all of them up, as each of them sees it.
    afterAll(() => awaitModels(running.system, systemClock), SETTLED_MS);

    async function submit(header: { key: string; model: string; priority: PriorityClass }, some: readonly Picture[]) {
      const ports = { door: jobDoor(await running.channel('beijing')), clock: systemClock, random: systemRandom };
      const { key, ...rest } = header;
      return {
        ports,
        jobId: await submitJob({ ...ports, header: { idempotencyKey: key, ...rest }, pictures: jobPictures(some) }),
      };
    }

    describe('idempotency', () => {
      test(
        'the same key is the same job, another content is refused',
        async () => {
          const first = await submit({ key: 'twice', model: '', priority: PriorityClass.NORMAL }, pictures.slice(0, 3));
          const second = await submit(
            { key: 'twice', model: '', priority: PriorityClass.NORMAL },
            pictures.slice(0, 3),
          );
          expect(second.jobId).toBe(first.jobId);
          await expect(
            submit({ key: 'twice', model: '', priority: PriorityClass.NORMAL }, pictures.slice(0, 2)),
          ).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
        },
        JOB_MS,
      );
    });

    describe('a region dies under a job', () => {
      test(
        'all answers come, once; the trace at a surviving door shows both attempts',
        async () => {
          let killed: Promise<void> | undefined;
          const kill = (count: number): void => {
            if (killed === undefined && count >= 20) killed = running.system.region('shanghai').kill();
          };
          const job = await runJob({
            channel: await running.channel('beijing'),
            pictures: pictures.slice(0, 200),
            model: '',
            key: 'region-dies',
            onResult: kill,
          });
          await killed;
          expect(new Set(job.answers.map(({ digest }) => digest)).size).toBe(200);
          expect(job.answers.length).toBe(200);
          expect(job.replaced).toBeGreaterThan(0);
          const spans = await spansOfReplacedTask(job.replacedTasks[0] ?? '');
          const attempts = spans.filter(({ name }) => name === 'attempt');
          expect(attempts.length).toBeGreaterThanOrEqual(2);
          expect(new Set(attempts.map(({ attributes }) => attributes['meridian.region'])).size).toBeGreaterThanOrEqual(
            2,
          );
          await running.system.region('shanghai').start();
        },
        JOB_MS,
      );

      async function spansOfReplacedTask(taskId: string): Promise<readonly Span[]> {
        const client = createClient(RegionService, await running.channel('beijing'));
        const { spans } = await client.getTrace({ key: { case: 'taskId', value: taskId } }, { timeoutMs: 10_000 });
        return spans;
      }
    });

    describe('the example consumer', () => {
      test(
        'sees every finished job at least once, each with one id, though it and the region are killed',
        async () => {
          const { system } = running;
          const seed = system.installation.regions.beijing?.seedFiles.consumer ?? '';
          const seen: string[] = [];
          const start = () => {
            const script = join(repository, 'docs', 'examples', 'finished-jobs.mjs');
            const child = spawn(
              process.execPath,
              [script, 'beijing', system.natsUrl('beijing'), seed, system.installation.client, 'e2e'],
              { stdio: ['ignore', 'pipe', 'inherit'] },
            );
            createInterface({ input: child.stdout }).on('line', (line) => seen.push(line));
            return child;
          };
          const jobIds: string[] = [];
          const finish = async (key: string): Promise<void> => {
            const job = await runJob({
              channel: await running.channel('beijing'),
              pictures: pictures.slice(0, 5),
              model: '',
              key,
              onResult: () => undefined,
            });
            jobIds.push(job.jobId);
          };
          const first = start();
          await finish('consumer-1');
          first.kill('SIGKILL');
          await once(first, 'exit');
          await finish('consumer-2');
          await system.region('beijing').kill();
          await system.region('beijing').start();
          await finish('consumer-3');
          const second = start();
          while (!jobIds.every((jobId) => seen.some((line) => line.includes(jobId)))) await systemClock.sleep(50);
          second.kill('SIGKILL');
          await once(second, 'exit');
          for (const jobId of jobIds)
            expect(new Set(seen.filter((line) => line.includes(jobId)).map((line) => line.split(' ')[0])).size).toBe(1);
        },
        JOB_MS,
      );
    });
  });
}
