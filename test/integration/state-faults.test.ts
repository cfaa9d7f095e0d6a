import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { Campaign } from '../state/campaign.ts';
import { linkCut, syncKilled } from '../state/phases.ts';
import { StateRegions } from '../state/state-regions.ts';
import { statusDuringCut } from '../state/status-during-cut.ts';

/**
 * Goal: what all regions write at once while a link is cut and a sync service is killed is nowhere lost, and all end equal and
 * quiet; what the status says of a cut is so. `make acceptance ONLY=state` does the same with every fault in every region.
 */
jest.setTimeout(120_000);

const FETCH_INTERVAL_MS = 4_000;
const QUIET_MS = 4_500;
const FAULT_MS = 3_000;
const CUT_MS = 10_000;

let directory: string;
let regions: StateRegions;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'meridian-state-faults-'));
  regions = await StateRegions.start(directory, { MERIDIAN_FETCH_INTERVAL_MS: String(FETCH_INTERVAL_MS) });
});

afterAll(async () => {
  await regions?.stop();
  await rm(directory, { recursive: true, force: true });
});

test('nothing acknowledged is lost when a link is cut, then a sync service killed, during writes', async () => {
  const said: string[] = [];
  const say = (text: string) => void said.push(text);
  const campaign = new Campaign({ regions, say, fetchIntervalMs: FETCH_INTERVAL_MS, quietMs: QUIET_MS });
  for (const phase of [linkCut('beijing', 'guangzhou', FAULT_MS), syncKilled('shanghai')]) await campaign.phase(phase);
  expect(said.filter((line) => line.includes('PROBLEM'))).toEqual([]);
  for (const region of regions.clients.keys())
    expect([region, campaign.ledger.acknowledged(region, 0).length > 50]).toEqual([region, true]);
});

test('a cut link shows in t_j of both its ends, by as long as it lasts, and nowhere else', async () => {
  const { problems } = await statusDuringCut(regions, ['beijing', 'guangzhou'], CUT_MS);
  expect(problems).toEqual([]);
});
