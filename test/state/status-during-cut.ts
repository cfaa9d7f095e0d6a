import { until } from '../support/region-brokers.ts';
import { type OwnStatus, pause, REGIONS, type Region, type StateRegions } from './state-regions.ts';

/** Two heartbeats, and the way. */
const FRESH_MS = 2_500;
/** Who hears everybody does not fall behind, however busy the machine is. */
const THIRD_BEHIND_MS_MAX = 5_000;
const TOLERANCE_MS = 1_000;
const RECOVERY_MS = 20_000;

/**
 * One link is cut and nothing is written: t_j of both ends falls behind by the time of the cut and recovers, v_j stands
 * still, vectors do not change; the third region notices nothing. All times are the regions' own.
 * @returns a line of figures, and what did not hold
 */
export async function statusDuringCut(
  regions: StateRegions,
  [a, b]: readonly [Region, Region],
  cutMs: number,
): Promise<{ readonly line: string; readonly problems: readonly string[] }> {
  const { emulator } = regions.brokers;
  await fresh(regions);
  emulator.cut(a, b);
  const atCut = await all(regions);
  await pause(FRESH_MS); // a round that only waited for the third region is complete by now
  const early = await all(regions);
  await pause(cutMs - ((early[0]?.nowMs ?? 0) - (atCut[0]?.nowMs ?? 0)));
  const atHeal = await all(regions);
  emulator.heal();
  const healedMs = performance.now();
  await fresh(regions);
  const recoveredMs = performance.now() - healedMs;
  const after = await all(regions);
  const problems: string[] = [];
  const figures = REGIONS.map((region, i) => {
    const [before, during, then, last] = [atCut[i], early[i], atHeal[i], after[i]] as OwnStatus[] as [
      OwnStatus,
      OwnStatus,
      OwnStatus,
      OwnStatus,
    ];
    const behindMs = staleness(then) - staleness(before);
    const lastedMs = then.nowMs - before.nowMs;
    const rounds = then.rounds - during.rounds;
    const isEnd = region === a || region === b;
    if (isEnd && Math.abs(behindMs - lastedMs) > TOLERANCE_MS)
      problems.push(`${region} fell behind by ${behindMs} ms in ${lastedMs} ms`);
    if (isEnd && (rounds !== 0 || during.rounds - before.rounds > 1))
      problems.push(`${region} went on by ${rounds} rounds`);
    if (!isEnd && staleness(then) > THIRD_BEHIND_MS_MAX)
      problems.push(`${region} fell behind to ${staleness(then)} ms`);
    if (!isEnd && rounds === 0) problems.push(`${region} has completed no round`);
    if (![during, then, last].every(({ vector }) => vector.compare(before.vector) === 'equal'))
      problems.push(`the vector of ${region} changed`);
    return `${region} t ${(behindMs / 1_000).toFixed(2)} s behind, v +${rounds}`;
  });
  const line = `${figures.join(', ')}; recovered ${(recoveredMs / 1_000).toFixed(1)} s after the heal, vectors unchanged`;
  return { line, problems };
}

function fresh(regions: StateRegions): Promise<void> {
  return until(async () => {
    const late = (await all(regions)).filter((own) => staleness(own) > FRESH_MS);
    return late.length === 0 || `${late.map(({ region }) => region).join(', ')} stale`;
  }, RECOVERY_MS);
}

async function all(regions: StateRegions): Promise<readonly OwnStatus[]> {
  const statuses = await regions.statuses();
  if (!statuses.every((own) => own !== undefined)) throw new Error('a region does not answer');
  return statuses;
}

function staleness({ nowMs, knownUntilMs }: OwnStatus): number {
  return nowMs - knownUntilMs;
}
