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

interface Seen {
  readonly vector: VersionVector;
  readonly conflicts: number;
}

/** COUNT (100) starts of all regions on one state folder, then as many restarts of one region while it is cut off. */
export const starts: Scenario = async (say) => {
  const count = Number(process.env.COUNT ?? '100');
  const stateRoot = await mkdtemp(join(tmpdir(), 'meridian-starts-'));
  try {
    const first = await oneStart(stateRoot);
    let last = first;
    for (let i = 2; i <= count; i++) {
      last = await oneStart(stateRoot);
      if (i % 10 === 0) say(`start ${i}: ${last.vector.size} entries, ${last.conflicts} conflicts`);
    }
    say(`${count} starts: ${first.vector} → ${last.vector}`);
    const alone = await restartsWhileCutOff(stateRoot, count, say);
    return last.vector.compare(first.vector) === 'equal' && last.conflicts === 0 && alone;
  } finally {
    await rm(stateRoot, { recursive: true, force: true });
  }
};

async function oneStart(stateRoot: string): Promise<Seen> {
  const running = await startLocalSystem({ stateRoot });
  const seen = await look(running, 'beijing');
  await running.stop();
  return seen;
}

async function restartsWhileCutOff(stateRoot: string, count: number, say: (text: string) => void): Promise<boolean> {
  const running = await startLocalSystem({ stateRoot });
  try {
    const region = running.system.region('guangzhou');
    const before = await look(running, 'guangzhou');
    for (const peer of ['beijing', 'shanghai']) running.system.emulator.cut('guangzhou', peer);
    for (let i = 1; i <= count; i++) {
      await region.kill();
      await region.start();
      if (i % 10 === 0) say(`restart ${i} while cut off`);
    }
    const after = await look(running, 'guangzhou');
    running.system.emulator.heal();
    await awaitModels(running.system, systemClock);
    const healed = await look(running, 'guangzhou');
    say(
      `${count} restarts while cut off: ${before.vector.size} → ${after.vector.size} entries, ${healed.conflicts} conflicts after the heal`,
    );
    return after.vector.compare(before.vector) === 'equal' && healed.conflicts === 0;
  } finally {
    await running.stop();
  }
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
