import { type AliasView, type Evidence, type RegionRoll, RollPhase, RollState } from '@meridian/contracts/roll';
import { formatDateTime, formatMs, formatNumber, shortDigest } from './quantity.ts';
import { formatTable } from './table.ts';

const PHASES: Readonly<Record<number, string>> = {
  [RollPhase.LOADING]: 'getting ready',
  [RollPhase.SERVING_NEW]: 'on trial',
  [RollPhase.PASSED]: 'passed',
  [RollPhase.FAILED]: 'failed',
  [RollPhase.BACK]: 'back',
  [RollPhase.CUT_OFF]: 'cut off, back for now',
  [RollPhase.LEFT_OUT]: 'left out',
};

/** Every alias with what it means, one a line. */
export function formatAliases(aliases: readonly AliasView[]): string {
  if (aliases.length === 0) return 'no aliases; make one with: models alias NAME MODEL';
  const rows = aliases.map((view) => [view.record?.alias ?? '–', describe(view)]);
  return formatTable(['alias', 'means'], rows);
}

/** One roll: where it is, then a line for each region. */
export function formatRoll(view: AliasView): string {
  const { record, regions, losers } = view;
  const rows = regions.map((region) => [
    region.region,
    region.wave === 0 ? '–' : String(region.wave),
    phaseOf(region),
    region.serves?.model ?? '–',
    evidence(region.old ?? region.phase?.old),
    evidence(region.phase?.new?.tasks ? region.phase.new : region.new),
    region.phase?.reason ?? '',
  ]);
  const conflicts = losers.map(
    (loser) =>
      `conflict: ${loser.region} rolled it to ${loser.new?.model ?? '–'} at the same time; that one lost (roll ${loser.rollId})`,
  );
  const headers = ['region', 'wave', 'phase', 'uses', 'old', 'new', 'why'];
  return [`${record?.alias ?? '–'}: ${describe(view)}`, formatTable(headers, rows), ...conflicts].join('\n');
}

/** Nothing more will happen by itself. */
export function isOver({ state }: AliasView): boolean {
  return state !== RollState.UNDER_WAY;
}

function describe({ record, state }: AliasView): string {
  const name = (target: { model: string; modelDigest: string } | undefined) =>
    target === undefined ? '–' : `${target.model} ${shortDigest(target.modelDigest)}`;
  const since = formatDateTime(Number(record?.startedUnixMs ?? 0n));
  if (state === RollState.SETTLED) return name(record?.new);
  const way = `${name(record?.old)} → ${name(record?.new)}, begun in ${record?.region ?? '–'} at ${since}`;
  if (state === RollState.COMPLETE) return `${way}: complete`;
  return state === RollState.FAILED ? `${way}: failed, all regions are back` : `${way}: under way`;
}

function phaseOf({ phase, wave }: RegionRoll): string {
  if (phase !== undefined) return PHASES[phase.phase] ?? 'unknown';
  return wave === 0 ? '–' : 'waits';
}

function evidence(found: Evidence | undefined): string {
  if (found === undefined || found.tasks === 0) return '–';
  const errors = found.errors === 0 ? '' : `, ${formatNumber(found.errors)} failed`;
  return `${formatNumber(found.tasks)} tasks${errors}, ${formatMs(found.p95Ms)}`;
}
