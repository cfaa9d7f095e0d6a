import { fromBinary } from '@bufbuild/protobuf';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { subject } from '@meridian/contracts';
import { FetchRequestSchema } from '@meridian/contracts/state';
import { openDoor } from './door.fixture.ts';
import { REGIONS, Regions, type RunningRegion, until } from './region.fixture.ts';

/**
 * Goal: a slow link gets longer intervals, by what its rounds really send, and another one keeps the configured one.
 * Method: whole sync services on brokers in memory; the status at beijing's door, and the questions that peers get from it.
 */
let regions: Regions;

beforeEach(async () => {
  regions = await Regions.prepare();
});

afterEach(() => regions.stop());

/** Of beijing's links. */
async function linkTo(beijing: RunningRegion, peer: string) {
  const { regions: all } = await openDoor(beijing).status();
  return all.find(({ region }) => region === peer)?.link;
}

/** By rounds that do not wait for their time. */
async function measured(beijing: RunningRegion): Promise<void> {
  for (const peer of ['shanghai', 'guangzhou'])
    await until(async () => {
      beijing.replicator.connect();
      return ((await linkTo(beijing, peer))?.roundBytes ?? 0) > 0 || `no round with ${peer} is measured`;
    });
}

/** Times that beijing asks the peer from now on. */
function questionsTo(peer: string): { count: number } {
  const questions = { count: 0 };
  const deliver = ({ data }: { readonly data: Uint8Array }) => {
    if (fromBinary(FetchRequestSchema, data).region === 'beijing') questions.count++;
  };
  const pattern = subject('stateFetch', { target: peer });
  regions.broker.listen({ region: peer, pattern, queue: undefined, deliver });
  return questions;
}

async function startAll(intervalMs: string): Promise<RunningRegion> {
  const environment = { MERIDIAN_FETCH_INTERVAL_MS: intervalMs };
  const [beijing] = await Promise.all(REGIONS.map((region) => regions.start(region, environment)));
  return beijing as RunningRegion;
}

test('a link of a few kbit/s says why it waits longer, and a wide one keeps ten seconds', async () => {
  regions.links.set('beijing guangzhou', { roundTripMs: 600, bandwidthMbps: 0.004 });
  const beijing = await startAll('10000');
  await measured(beijing);
  const [wide, slow] = [await linkTo(beijing, 'shanghai'), await linkTo(beijing, 'guangzhou')];
  expect(wide).toMatchObject({ intervalMs: 10_000, decidedBy: 'least', bandwidthMbps: 1_000 });
  expect(wide?.reason).toBe('10 s: the shortest allowed; the link has room');
  // Two messages with envelopes and next to nothing in them.
  const { roundBytes = 0, deltaBytesPerSecond = 0, intervalMs = 0, reason } = slow ?? {};
  expect(roundBytes).toBeGreaterThan(500);
  expect(roundBytes).toBeLessThan(2_500);
  expect(slow?.decidedBy).toBe('bandwidth');
  expect(intervalMs).toBeCloseTo((roundBytes * 1_000) / (50 - deltaBytesPerSecond), 3);
  expect(intervalMs).toBeGreaterThan(10_000);
  expect(reason).toMatch(/^[\d.]+ s: rounds of \d+ B fill the \d+ B\/s that are left of the link$/);
  const {
    regions: [own],
  } = await openDoor(beijing).status();
  expect([own?.region, own?.link]).toEqual(['beijing', undefined]);
});

test('the slow one is asked as seldom as that, but at once after a cut', async () => {
  // A tenth of it are 100 bytes a second: a round every ten seconds or so.
  regions.links.set('beijing guangzhou', { roundTripMs: 1, bandwidthMbps: 0.008 });
  const beijing = await startAll('100');
  await measured(beijing);
  expect((await linkTo(beijing, 'guangzhou'))?.intervalMs).toBeGreaterThan(5_000);
  const [shanghai, guangzhou] = [questionsTo('shanghai'), questionsTo('guangzhou')];
  await until(() => shanghai.count >= 20 || `shanghai was asked ${shanghai.count} times`);
  expect(guangzhou.count).toBeLessThan(4);
  const before = guangzhou.count;
  beijing.replicator.connect();
  await until(() => guangzhou.count > before || 'a healed link waits', 3_000);
});
