import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { RegionService } from '@meridian/contracts/region';
import { createClient, type RpcClient } from '@meridian/rpc';
import { systemClock } from '@meridian/runtime';
import { variations } from '../faults/pictures.ts';
import { type RunningSystem, startLocalSystem } from '../support/local-system.ts';
import { OpenLoad, type Placed, shareOf } from '../support/open-load.ts';
import { TimeLine } from '../support/time-line.ts';

/**
 * Goal: tasks go where they finish soonest for everybody, and follow what changes in time. Method: three real regions whose
 * workers are paced, so that the machine is not what is measured; pictures at a fixed rate to beijing, and afterwards every
 * decision about every one of them, as `meridian explain` shows it.
 */
const MODEL = 'blazeface';
/** One picture at a time in each region: 20 a second. */
const PACE_MS = 50;
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
const to = (region: string, placed: readonly Placed[], fromMs: number, untilMs: number) =>
  shareOf(region, placed, fromMs, untilMs);

describe('placement', () => {
  test(
    'beijing is offered twice what it can do: nothing is lost, prices rise, and the others take the rest',
    async () => {
      let steadyMs = 0;
      const { answers, placed, line } = await offer(36, async () => {
        await seconds(8);
        steadyMs = systemClock.nowMs();
        await seconds(8);
      });
      expect(answers.filter(({ failure }) => failure !== undefined)).toEqual([]);
      const endMs = steadyMs + 8_000;
      const shares = ['beijing', 'shanghai', 'guangzhou'].map((region) => to(region, placed, steadyMs, endMs));
      // It can do 20 of 36 a second.
      expect(shares[0]).toBeGreaterThan(0.35);
      expect(shares[0]).toBeLessThan(0.6);
      expect(shares[1]).toBeGreaterThan(0.25);
      expect(line.highestPriceMs('beijing')).toBeGreaterThan(0);
    },
    TEST_MS,
  );

  test(
    'a link that gets 200 ms slower loses its share within 2 s, and has it back 2 s after it is as before',
    async () => {
      let slowMs = 0;
      let healedMs = 0;
      const { answers, placed } = await offer(26, async (line) => {
        await seconds(8);
        running.system.emulator.slow('beijing', 'shanghai', { oneWayDelayMs: 125 });
        slowMs = line.mark('beijing – shanghai: 50 → 250 ms');
        await seconds(6);
        running.system.emulator.slow('beijing', 'shanghai', { oneWayDelayMs: 25 });
        healedMs = line.mark('beijing – shanghai: 250 → 50 ms');
        await seconds(6);
      });
      expect(answers.filter(({ failure }) => failure !== undefined)).toEqual([]);
      const before = to('shanghai', placed, slowMs - 4_000, slowMs);
      expect(before).toBeGreaterThan(0.12);
      expect(to('shanghai', placed, slowMs + 2_000, healedMs)).toBeLessThan(before / 3);
      expect(to('guangzhou', placed, slowMs + 2_000, healedMs)).toBeGreaterThan(before / 2);
      expect(to('shanghai', placed, healedMs + 2_000, healedMs + 6_000)).toBeGreaterThan(before / 2);
    },
    TEST_MS,
  );

  test(
    'a region that dies gets nothing new after 2 s, and what it had is placed elsewhere within 6 s',
    async () => {
      let killedMs = 0;
      const { answers, placed } = await offer(26, async (line) => {
        await seconds(6);
        killedMs = line.mark('shanghai is killed');
        await running.system.region('shanghai').kill();
        await seconds(9);
      });
      expect(answers.filter(({ failure }) => failure !== undefined)).toEqual([]);
      expect(to('shanghai', placed, killedMs - 4_000, killedMs)).toBeGreaterThan(0.12);
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
