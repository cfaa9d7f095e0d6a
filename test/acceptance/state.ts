import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Campaign } from '../state/campaign.ts';
import { allPhases } from '../state/phases.ts';
import { StateRegions } from '../state/state-regions.ts';
import { statusDuringCut } from '../state/status-during-cut.ts';
import { wipe } from '../state/wipe.ts';
import type { Scenario } from './scenario.ts';

const FETCH_INTERVAL_MS = 5_000;
const QUIET_MS = 6_000;
const FAULT_MS = 6_000;
const CUT_MS = 10_000;
/** Part of the name of a phase; empty: all. */
const PHASE = process.env.PHASE ?? '';

/** Three regions are written to while links are cut, processes killed and stopped, and stores lost: nothing else is lost. */
export const state: Scenario = async (say) => {
  const directory = await mkdtemp(join(tmpdir(), 'meridian-state-'));
  const regions = await StateRegions.start(directory, { MERIDIAN_FETCH_INTERVAL_MS: String(FETCH_INTERVAL_MS) });
  const campaign = new Campaign({ regions, say, fetchIntervalMs: FETCH_INTERVAL_MS, quietMs: QUIET_MS });
  const checks: Record<string, () => Promise<boolean>> = {
    ...Object.fromEntries(allPhases(FAULT_MS).map((phase) => [phase.name, () => campaign.phase(phase)])),
    'store wiped': () => wipe(campaign, 'shanghai', false),
    'store wiped while cut off': () => wipe(campaign, 'guangzhou', true),
    status: () => status(regions, say),
  };
  let held = true;
  try {
    for (const [name, check] of Object.entries(checks)) if (name.includes(PHASE)) held = (await check()) && held;
    say(`${campaign.ledger.writes.length} writes, ${campaign.lost} lost`);
  } catch (error) {
    say(String(error));
    held = false;
  } finally {
    if (!held) await regions.keepLogs();
    await regions.stop();
  }
  if (held) await rm(directory, { recursive: true, force: true });
  else say(`state and logs: ${directory}`);
  return held;
};

async function status(regions: StateRegions, say: (text: string) => void): Promise<boolean> {
  const { line, problems } = await statusDuringCut(regions, ['beijing', 'guangzhou'], CUT_MS);
  say(`status while beijing-guangzhou is cut for ${CUT_MS / 1_000} s: ${line}`);
  for (const problem of problems) say(`status: PROBLEM ${problem}`);
  return problems.length === 0;
}
