import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { type Plan, PlanService } from '@meridian/contracts/plan';
import { awaitModels } from '@meridian/local';
import { createClient } from '@meridian/rpc';
import { systemClock } from '@meridian/runtime';
import type { RunningSystem } from '../support/local-system.ts';
import { OpenLoad } from '../support/open-load.ts';
import { until } from '../support/region-brokers.ts';

/**
 * Goal: the plan shows what is really asked for, and follows who is there within one interval and a second. Method: pictures
 * at a fixed rate to beijing, its plans as they are made, a region that is killed and comes back.
 */
const PER_SECOND = 4;
const INTERVAL_MS = 2_000;
const FOLLOWED_MS = INTERVAL_MS + 1_000;
const TEST_MS = 120_000;
let running: RunningSystem;

/** @param current the system that the suite has started */
export function plan(current: () => RunningSystem): void {
  describe('plan', () => {
    beforeAll(() => {
      running = current();
    });

    const targetsOf = ({ outcome }: Plan) => outcome?.regions.map(({ region }) => region).join() ?? '';
    const ALL = 'beijing,guangzhou,shanghai';

    async function lastPlan(region: string): Promise<Plan> {
      const client = createClient(PlanService, await running.planChannel(region));
      const { plan: last } = await client.getPlan({}, { timeoutMs: 5_000 });
      if (last === undefined) throw new Error(`no plan of ${region}`);
      return last;
    }

    /** All plans that beijing makes while `during` runs. */
    async function watched(during: (plans: readonly Plan[]) => Promise<void>): Promise<void> {
      const client = createClient(PlanService, await running.planChannel('beijing'));
      const [plans, end] = [[] as Plan[], new AbortController()];
      const reading = (async () => {
        for await (const { plan: next } of client.watchPlan({}, { signal: end.signal }))
          if (next !== undefined) plans.push(next);
      })().catch(() => undefined);
      try {
        await during(plans);
      } finally {
        end.abort();
        await reading;
      }
    }

    /** Until there is a plan made after `sinceMs` of which that is so. @returns how long after */
    async function made(plans: readonly Plan[], sinceMs: number, isSo: (one: Plan) => boolean): Promise<number> {
      const found = () => plans.find((one) => Number(one.computedUnixMs) >= sinceMs && isSo(one));
      await until(() => found() !== undefined || `the last of ${plans.length} plans is not so`);
      return Number(found()?.computedUnixMs) - sinceMs;
    }

    const followed = (plans: readonly Plan[], sinceMs: number, targets: string) =>
      made(plans, sinceMs, (one) => targetsOf(one) === targets);

    const roundTripMs = ({ outcome }: Plan) =>
      outcome?.links.find(({ origin, region }) => origin === 'beijing' && region === 'shanghai')?.roundTripMs ?? 0;

    test(
      'has the demand that there is, in every region, and where it would run',
      async () => {
        const pictures = await Promise.all(running.provisioned.samples.map(({ path }) => readFile(path)));
        const channel = await running.channel('beijing');
        const load = new OpenLoad({ channel, model: 'blazeface', pictures, perSecond: PER_SECOND });
        load.start();
        try {
          for (const region of running.system.regions.keys())
            await until(async () => {
              const { outcome } = await lastPlan(region);
              const asked = outcome?.sources.filter(
                ({ origin, model }) => origin === 'beijing' && model === 'blazeface',
              );
              const rate = asked?.reduce((sum, { tasksPerSecond }) => sum + tasksPerSecond, 0) ?? 0;
              return Math.abs(rate - PER_SECOND) < PER_SECOND / 4 || `${region} plans for ${rate} a second`;
            });
          const { outcome, inputs } = await lastPlan('shanghai');
          const source = outcome?.sources.find(({ model }) => model === 'blazeface');
          expect(source?.shares.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 6);
          expect(source?.runnableRegions).toEqual(['beijing', 'guangzhou', 'shanghai']);
          const bytes = pictures.reduce((sum, { length }) => sum + length, 0) / pictures.length;
          expect(Math.abs((source?.pictureBytes ?? 0) / bytes - 1)).toBeLessThan(0.5);
          expect(outcome?.links).toHaveLength(6);
          for (const { roundTripMs, origin, region } of outcome?.links ?? [])
            expect([origin, region, roundTripMs > 40 && roundTripMs < 400]).toEqual([origin, region, true]);
          expect(inputs.map(({ leftOut }) => leftOut)).toEqual(['', '', '']);
          // Once a worker has measured its pictures, every region's plan says how many claims it takes ahead.
          const ahead = async () => {
            const { outcome: last } = await lastPlan('shanghai');
            return last?.decisions.filter(({ policy }) => policy === 'claims-ahead') ?? [];
          };
          await until(async () => (await ahead()).length > 0 || 'no region says what its workers take ahead', 60_000);
          for (const { region, decision, reason } of await ahead()) {
            process.stderr.write(`claims ahead in ${region}: ${decision}; ${reason}\n`);
            const [, fetchMs, serviceMs] =
              /^bytes are here ([\d.]+) ms .* a picture takes ([\d.]+) ms: /.exec(reason) ?? [];
            // A slot's own, what runs while bytes travel, and a few.
            expect(Number(decision.split(' ')[0])).toBeGreaterThan(4);
            expect([Number(fetchMs) < 1_000, Number(serviceMs) > 1, Number(serviceMs) < 1_000]).toEqual([
              true,
              true,
              true,
            ]);
          }
        } finally {
          await load.stop();
        }
      },
      TEST_MS,
    );

    test(
      'a link that gets 200 ms slower is so in it, and as before when it is, within an interval and a second',
      () =>
        watched(async (plans) => {
          const { emulator } = running.system;
          /** Of beijing and shanghai: 50 ms at first. */
          const change = async (oneWayDelayMs: number, isSo: (ms: number) => boolean) => {
            const changedMs = systemClock.nowMs();
            emulator.slow('beijing', 'shanghai', { oneWayDelayMs });
            return made(plans, changedMs, (one) => isSo(roundTripMs(one)));
          };
          const slowMs = await change(125, (ms) => ms > 200);
          const backMs = await change(25, (ms) => ms > 0 && ms < 100);
          process.stderr.write(`plan of beijing: link slower after ${slowMs} ms, as before after ${backMs} ms\n`);
          expect(slowMs).toBeLessThan(FOLLOWED_MS);
          expect(backMs).toBeLessThan(FOLLOWED_MS);
        }),
      TEST_MS,
    );

    test(
      'a region that dies is out of it, and one that is back in it, within an interval and a second',
      () =>
        watched(async (plans) => {
          await until(() => plans.map(targetsOf).at(-1) === ALL || 'not all regions are targets');
          const killedMs = systemClock.nowMs();
          await running.system.region('shanghai').kill();
          const goneMs = await followed(plans, killedMs, 'beijing,guangzhou');
          await running.system.region('shanghai').start();
          const startedMs = systemClock.nowMs();
          const backMs = killedMs + goneMs + (await followed(plans, killedMs + goneMs, ALL)) - startedMs;
          process.stderr.write(
            `plan of beijing: shanghai killed, out after ${goneMs} ms; all its services up, back after ${Math.round(backMs)} ms\n`,
          );
          expect(goneMs).toBeLessThan(FOLLOWED_MS);
          expect(backMs).toBeLessThan(FOLLOWED_MS);
          await awaitModels(running.system, systemClock);
        }),
      TEST_MS,
    );
  });
}
