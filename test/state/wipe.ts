import { type Dot, formatDot, regionOf, VersionVector } from '@meridian/causality';
import { until } from '../support/region-brokers.ts';
import type { Campaign } from './campaign.ts';
import type { Recorded } from './ledger.ts';
import { othersOf, pause, type Region } from './state-regions.ts';
import { heldByWipedStoreOnly } from './wiped-store.ts';

/** The region writes for so long while it is cut off, before its store is lost. */
const CUT_OFF_MS = 3_000;
const BACK_MS = 60_000;
/** All are written to for so long before, and after the region takes writes again. */
const WRITING_MS = 1_500;

/**
 * The broker of a region loses its store while its sync service runs. Then no write may be acknowledged there before the
 * region has everything again that the others have, and none as who it was before.
 * @param isCutOff the region is written to while the others do not hear it: what they have not heard by then is lost
 * @returns whether all held
 */
export async function wipe(campaign: Campaign, region: Region, isCutOff: boolean): Promise<boolean> {
  const { options, writers, ledger } = campaign;
  const { regions } = options;
  const begun = campaign.begin(`store of ${region} wiped${isCutOff ? ' while cut off' : ''}`);
  writers.start();
  await pause(WRITING_MS);
  if (isCutOff) {
    regions.cutOff(region);
    await pause(CUT_OFF_MS);
  } else {
    await writers.stop();
    await regions.equal(2 * options.fetchIntervalMs);
  }
  const heads = await headsOf(campaign, region);
  const wipedMs = await regions.wipe(region);
  const before = acknowledgedHere(campaign, region, begun.from).filter(({ atMs }) => atMs <= wipedMs);
  const earlier = ledger.actorsOf(region, wipedMs);
  const written = ledger.acknowledged(region, campaign.checkpoint).filter(({ id }) => before.some((w) => w.id === id));
  const only = heldByWipedStoreOnly(written, heads);
  for (const id of only) campaign.excused.add(id);
  // An empty store has no record of this key that could contradict the service that still runs.
  if (!isCutOff) await writers.writeNew(region);
  writers.start();
  const since = () => acknowledgedHere(campaign, region, begun.from).filter(({ atMs }) => atMs > wipedMs);
  const problems: string[] = [];
  if (isCutOff) {
    // The service is there again, and knows that its log is not whole.
    const refused = () => ledger.writes.slice(begun.from).some((w) => w.region === region && w.outcome === 'refused');
    await until(() => refused() || since().length > 0 || `${region} refuses nothing`, BACK_MS);
    if (since().length > 0)
      problems.push(`${since().length} writes were acknowledged before any other region was heard`);
    regions.brokers.emulator.heal();
  }
  const healedMs = performance.now();
  await until(() => since().length > 0 || `${region} takes no writes again`, BACK_MS);
  const backMs = (since()[0]?.atMs ?? 0) - healedMs;
  await pause(WRITING_MS);
  await writers.stop();
  problems.push(...tooEarly(since(), region, earlier, heads));
  if (isCutOff !== only.size > 0) problems.push(`${only.size} writes were only in the store: not what this run is for`);
  const dots = written.filter(({ id }) => only.has(id)).map(({ dot }) => dot);
  const notes = [
    `only in the wiped store: ${only.size} of ${before.length} writes${only.size > 0 ? ` (${ranges(dots)})` : ''}`,
    `writes taken again after ${(backMs / 1_000).toFixed(1)} s`,
  ];
  return campaign.conclude({ ...begun, notes, problems });
}

function acknowledgedHere({ ledger }: Campaign, region: Region, from: number): Recorded[] {
  return ledger.writes.slice(from).filter((write) => write.region === region && write.outcome === 'acknowledged');
}

async function headsOf({ options: { regions } }: Campaign, region: Region): Promise<VersionVector[]> {
  const statuses = await Promise.all(othersOf(region).map((other) => regions.status(other)));
  return statuses.map((own, i) => {
    if (own === undefined) throw new Error(`${othersOf(region)[i]} does not answer`);
    return own.vector;
  });
}

/** What was acknowledged before the region had everything again, or as a life of before the wipe. */
function tooEarly(
  writes: readonly Recorded[],
  region: Region,
  earlier: ReadonlySet<string>,
  heads: readonly VersionVector[],
): string[] {
  const seen = heads.reduce((all, head) => all.merge(head), VersionVector.EMPTY);
  const wanted = VersionVector.of([...seen.entries()].filter(([actor]) => regionOf(actor) !== region));
  const early = writes.filter(({ vector }) => !vector.dominates(wanted));
  const old = writes.filter(({ vector }) => [...vector.entries()].some(([actor]) => earlier.has(actor)));
  return [
    ...early.slice(0, 1).map(({ id }) => `"${id}" was acknowledged before a full resync, and ${early.length - 1} more`),
    ...old.slice(0, 1).map(({ id }) => `"${id}" was acknowledged under an old epoch, and ${old.length - 1} more`),
  ];
}

/** `region@epoch=3…17, …` */
function ranges(dots: readonly Dot[]): string {
  const counters = new Map<Dot['actor'], number[]>();
  for (const { actor, counter } of dots) counters.set(actor, [...(counters.get(actor) ?? []), counter]);
  return Array.from(counters, ([actor, all]) => {
    const first = formatDot({ actor, counter: Math.min(...all) });
    return `${first}…${Math.max(...all)}`;
  }).join(', ');
}
