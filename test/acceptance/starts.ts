import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VersionVector } from '@meridian/causality';
import { StateService } from '@meridian/contracts/state';
import { awaitModels } from '@meridian/local';
import { createClient } from '@meridian/rpc';
import { systemClock } from '@meridian/runtime';
import { type RunningSystem, startLocalSystem } from '../support/local-system.ts';
import type { Scenario } from './scenario.ts';

const COUNT = Number(process.env.COUNT ?? '100');

interface Seen {
  readonly vector: VersionVector;
  readonly conflicts: number;
}

/** COUNT (100) starts of all regions on one state folder. */
export const starts: Scenario = (say) =>
  onOneState(say, async (stateRoot) => {
    const first = await oneStart(stateRoot);
    let last = first;
    for (let i = 2; i <= COUNT; i++) {
      last = await oneStart(stateRoot);
      if (i % 10 === 0) say(`start ${i}: ${last.vector.size} entries, ${last.conflicts} conflicts`);
    }
    say(`${COUNT} starts: ${first.vector} → ${last.vector}`);
    return last.vector.compare(first.vector) === 'equal' && last.conflicts === 0;
  });

/** COUNT (100) restarts of one region while it is cut off. */
export const cutOffRestarts: Scenario = (say) =>
  onOneState(say, async (stateRoot) => {
    const running = await startLocalSystem({ stateRoot });
    try {
      return await restartsWhileCutOff(running, say);
    } finally {
      await running.stop();
    }
  });

/** The folder is kept for a look when the scenario did not hold. */
async function onOneState(
  say: (text: string) => void,
  scenario: (stateRoot: string) => Promise<boolean>,
): Promise<boolean> {
  const stateRoot = await mkdtemp(join(tmpdir(), 'meridian-starts-'));
  const held = await scenario(stateRoot).catch((error: unknown) => {
    say(String(error));
    return false;
  });
  if (held) await rm(stateRoot, { recursive: true, force: true });
  else say(`state and logs: ${stateRoot}`);
  return held;
}

async function oneStart(stateRoot: string): Promise<Seen> {
  const running = await startLocalSystem({ stateRoot });
  const seen = await look(running, 'beijing');
  await running.stop();
  return seen;
}

async function restartsWhileCutOff(running: RunningSystem, say: (text: string) => void): Promise<boolean> {
  const region = running.system.region('guangzhou');
  const before = await look(running, 'guangzhou');
  for (const peer of ['beijing', 'shanghai']) running.system.emulator.cut('guangzhou', peer);
  for (let i = 1; i <= COUNT; i++) {
    await region.kill();
    await region.start();
    if (i % 10 === 0) say(`restart ${i} while cut off`);
  }
  const after = await look(running, 'guangzhou');
  running.system.emulator.heal();
  await awaitModels(running.system, systemClock);
  const healed = await look(running, 'guangzhou');
  const entries = `${before.vector.size} → ${after.vector.size} entries`;
  say(`${COUNT} restarts while cut off: ${entries}, ${healed.conflicts} conflicts after the heal`);
  return after.vector.compare(before.vector) === 'equal' && healed.conflicts === 0;
}

/** The region's whole view: its vector, and how many keys have more than one value. */
async function look(running: RunningSystem, region: string): Promise<Seen> {
  const client = createClient(StateService, await running.syncChannel(region, `${region}/scheduler`));
  let conflicts = 0;
  for await (const { entries, versionVector, caughtUp } of client.watch({ versionVector: '' })) {
    for (const entry of entries)
      if (new Set(entry.versions.map(({ value }) => Buffer.from(value).toString('hex'))).size > 1) conflicts += 1;
    if (caughtUp) return { vector: VersionVector.parse(versionVector) ?? VersionVector.EMPTY, conflicts };
  }
  throw new Error('the watch ended');
}
