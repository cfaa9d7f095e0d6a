import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { RegionService } from '@meridian/contracts/region';
import { createClient, type RpcClient } from '@meridian/rpc';
import { systemClock } from '@meridian/runtime';
import { variations } from '../faults/pictures.ts';
import { type RunningSystem, startLocalSystem } from '../support/local-system.ts';
import { OpenLoad, shareOf } from '../support/open-load.ts';
import { TimeLine } from '../support/time-line.ts';
import { priority } from './priority.scenario.ts';

/**
 * Goal: tasks go where they finish soonest for everybody, and follow what changes in time. Method: three real regions whose
 * workers are paced, so that the machine is not what is measured; pictures at a fixed rate to beijing, and afterwards every
 * decision about every one of them, as `meridian explain` shows it.
 */
const MODEL = 'blazeface';
/** One picture at a time in each region: 10 a second. */
const PACE_MS = 100;
const REGIONS = ['beijing', 'shanghai', 'guangzhou'];
const TEST_MS = 180_000;
let running: RunningSystem;
let regions: RpcClient<typeof RegionService>;
let pictures: readonly Uint8Array[];

beforeAll(async () => {
  running = await startLocalSystem({ environment: { MERIDIAN_PACE_MS: `${PACE_MS}` } });
  const photographs = running.provisioned.samples.map(({ path }) => path);
  pictures = (await variations(photographs, 20, 5, 240)).map(({ bytes }) => bytes);
  regions = createClient(RegionService, await running.channel('beijing'));
}, TEST_MS);

afterAll(() => running?.stop(), TEST_MS);

/** Offers the rate until `during` is done. @returns every decision, and what passed, as a printed time line */
async function offer(perSecond: number, during: (line: TimeLine) => Promise<void>) {
  const channel = await running.channel('beijing');
  const load = new OpenLoad({ channel, model: MODEL, pictures, perSecond });
  const line = new TimeLine(regions, () => load.answered);
  line.start();
  load.start();
  await during(line);
  const answers = await load.stop();
  line.stop();
  const placed = await load.decisions(regions, answers);
  process.stderr.write(line.print(placed));
  return { answers, placed, line };
}

const seconds = (count: number) => systemClock.sleep(count * 1_000);
priority(() => running);

describe('placement', () => {
  test(
    'beijing is offered two and a half times what it can do: nothing is lost, the others take the rest',
    async () => {
      let steadyMs = 0;
      const { answers, placed } = await offer(25, async () => {
        await seconds(8);
        steadyMs = systemClock.nowMs();
        await seconds(10);
      });
      expect(answers.filter(({ failure }) => failure !== undefined)).toEqual([]);
      const share = (region: string) => shareOf(region, placed, steadyMs, steadyMs + 10_000);
      // It can do 10 of 25 a second, as each of the others: 5 are left for the farthest if the two nearer ones never rest.
      expect(share('beijing')).toBeLessThan(0.5);
      for (const region of REGIONS) expect([region, share(region) > 0.15]).toEqual([region, true]);
    },
    TEST_MS,
  );

  test(
    'a link that gets 200 ms slower loses its place within 2 s, and has it back 2 s after it is as before',
    async () => {
      let slowMs = 0;
      let healedMs = 0;
      const { answers, placed } = await offer(13, async (line) => {
        await seconds(8);
        running.system.emulator.slow('beijing', 'shanghai', { oneWayDelayMs: 125 });
        slowMs = line.mark('beijing – shanghai: 50 → 250 ms');
        await seconds(10);
        running.system.emulator.slow('beijing', 'shanghai', { oneWayDelayMs: 25 });
        healedMs = line.mark('beijing – shanghai: 250 → 50 ms');
        await seconds(8);
      });
      expect(answers.filter(({ failure }) => failure !== undefined)).toEqual([]);
      const shares = (fromMs: number, untilMs: number) =>
        ['shanghai', 'guangzhou'].map((region) => shareOf(region, placed, fromMs, untilMs)) as [number, number];
      const [before, slow, back] = [
        shares(slowMs - 6_000, slowMs),
        shares(slowMs + 2_000, healedMs),
        shares(healedMs + 2_000, healedMs + 8_000),
      ];
      expect(before[0]).toBeGreaterThan(before[1]);
      expect(slow[0]).toBeLessThan(slow[1]);
      expect(slow[0]).toBeLessThan(before[0] - 0.1);
      expect(back[0]).toBeGreaterThan(back[1]);
    },
    TEST_MS,
  );

  test(
    'a region that dies gets nothing new after 2 s, and what it had is placed elsewhere within 6 s',
    async () => {
      let killedMs = 0;
      const { answers, placed } = await offer(13, async (line) => {
        await seconds(6);
        killedMs = line.mark('shanghai is killed');
        await running.system.region('shanghai').kill();
        await seconds(9);
      });
      expect(answers.filter(({ failure }) => failure !== undefined)).toEqual([]);
      expect(shareOf('shanghai', placed, killedMs - 4_000, killedMs)).toBeGreaterThan(0.12);
      const there = placed.filter(({ region }) => region === 'shanghai');
      expect(there.filter(({ decidedMs }) => decidedMs > killedMs + 2_000)).toEqual([]);
      const lost = there.filter(({ isLast }) => !isLast);
      expect(lost.length).toBeGreaterThan(0);
      expect(placed.filter(({ attempt, decidedMs }) => attempt > 1 && decidedMs > killedMs + 6_000)).toEqual([]);
      await running.system.region('shanghai').start();
    },
    TEST_MS,
  );
});
