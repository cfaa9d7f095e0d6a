import { systemClock } from '@meridian/runtime';
import { REGIONS, type SyncRegions } from './sync-regions.ts';
import { dealt, type Update } from './sync-workload.ts';

/**
 * Of each region: far below what it can take, so that nothing waits in a queue. A write by itself costs all regions together
 * 5 to 8 ms of CPU, most of it messages of its own at three brokers: every 10 ms would fill two slow cores.
 */
const EVERY_MS = 30;
/** The last writes are on their way for the longest delay and some more. */
const SETTLE_MS = 500;

/**
 * From a write's acknowledgement in one region to its being readable in another, less the link's one-way delay, for every
 * write and each of its two readers. A value that a newer one replaced before it could be read is left out.
 */
export async function visibilityBeyondDelayMs(regions: SyncRegions, updates: readonly Update[]): Promise<number[]> {
  await regions.untilQuiet();
  await regions.all({ kind: 'observe' });
  const shares = dealt(updates, REGIONS.length);
  const acknowledged = await Promise.all(
    REGIONS.map((region, i) => regions.order(region, { kind: 'pace', updates: shares[i] ?? [], everyMs: EVERY_MS })),
  );
  await systemClock.sleep(SETTLE_MS);
  const observed = await regions.all({ kind: 'observed' });
  const beyond: number[] = [];
  for (const [i, from] of REGIONS.entries())
    for (const [value, ackMs] of Object.entries(acknowledged[i]?.times ?? {}))
      for (const [j, to] of REGIONS.entries()) {
        const seenMs = observed[j]?.times?.[value];
        if (i !== j && seenMs !== undefined) beyond.push(seenMs - ackMs - regions.oneWayMs(from, to));
      }
  return beyond;
}
