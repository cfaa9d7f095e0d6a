import type { Plan, PlanInput, PlannedSource, PlanOutcome, PolicyDecision } from '@meridian/contracts/plan';
import { formatBytes, formatMs, formatNumber, formatPercent, formatTime, shortDigest } from './quantity.ts';
import type { SyncDecisions } from './sync-decisions.ts';
import { formatTable } from './table.ts';

const LEFT_OUT: Readonly<Record<string, string>> = {
  silent: 'silent: no fresh report',
  unreached: 'gives no answer',
  'no-workers': 'no worker',
};
const MBPS_PER_BYTE = 8e-6;

/**
 * A plan for people.
 * @param nowMs of the region that answered: for ages
 * @param sync what its sync service has decided, shown with what the optimizer has
 */
export function formatPlan(plan: Plan, nowMs: number, sync: SyncDecisions): string {
  const { outcome } = plan;
  if (outcome === undefined) return 'a plan without an outcome';
  const ageMs = Math.max(0, nowMs - Number(plan.computedUnixMs));
  return [
    headLine(plan, ageMs),
    section('regions', regionTable(plan, outcome, ageMs)),
    section('demand', demandTable(outcome)),
    section('split', splitTable(outcome)),
    section('links', linkTable(outcome)),
    ...decisionSection([...outcome.decisions, ...sync.decisions]),
    ...(sync.problem === '' ? [] : [`sync intervals are not known: ${sync.problem}`]),
    summary(outcome),
  ].join('\n\n');
}

/** The same as one line, for logs. */
export function formatPlanLine({ region, sequence, cause, computedUnixMs, outcome, inputs }: Plan): string {
  const out = inputs.filter(({ leftOut }) => leftOut !== '').map((each) => `${each.region} ${each.leftOut}`);
  const runs = (outcome?.regions ?? []).map(
    ({ region: name, load, capacity }) => `${name} ${formatPercent(capacity > 0 ? load / capacity : 0)}`,
  );
  const rates = `${formatNumber(outcome?.tasksPerSecond ?? 0)} tasks/s, shed ${formatNumber(outcome?.shedPerSecond ?? 0)}`;
  const head = `${formatTime(Number(computedUnixMs))}  ${region} #${sequence} ${cause}`;
  return [head, rates, formatMs(outcome?.latencyMs ?? 0), ...runs, ...out].join(' · ');
}

function headLine({ region, sequence, cause, computedUnixMs, solveMs, digest }: Plan, ageMs: number): string {
  const when = `made ${formatTime(Number(computedUnixMs))}, ${formatMs(ageMs)} ago`;
  return `plan #${sequence} of ${region}, ${when} (${cause}), solved in ${formatMs(solveMs)}, outcome ${shortDigest(digest)}`;
}

function section(title: string, table: string): string {
  return `${title}\n${table}`;
}

function regionTable({ inputs }: Plan, { regions }: PlanOutcome, ageMs: number): string {
  const rows = inputs.map((input) => {
    const planned = regions.find(({ region }) => region === input.region);
    const age = (ms: number) => (ms > 0 ? formatMs(ms + ageMs) : '–');
    const ages = [age(input.loadAgeMs), age(input.demandAgeMs)];
    if (planned === undefined) return [input.region, ...Array(9).fill('–'), ...ages, noteOf(input)];
    const { capacity, workers, load, priceMs, waitMs, remoteBytesPerSecond, bandwidthMbps } = planned;
    const into = `${formatNumber(remoteBytesPerSecond * MBPS_PER_BYTE)} of ${formatNumber(bandwidthMbps)}`;
    return [
      ...[input.region, formatNumber(capacity), formatNumber(workers), formatNumber(load)],
      ...[formatPercent(capacity > 0 ? load / capacity : 0), formatMs(priceMs), formatMs(input.livePriceMs)],
      ...[formatMs(waitMs), into, formatNumber(input.outstanding), ...ages, noteOf(input)],
    ];
  });
  const measured = ['region', 'capacity μ', 'workers', 'load', 'use', 'price', 'live price', 'wait', 'Mbit/s in'];
  return formatTable([...measured, 'outstanding', 'load heard', 'demand heard', ''], rows);
}

function noteOf({ leftOut }: PlanInput): string {
  return LEFT_OUT[leftOut] ?? leftOut;
}

function demandTable({ sources }: PlanOutcome): string {
  if (sources.length === 0) return 'nobody asks for anything';
  const rows = sources.map((source) => [
    ...[source.origin, modelOf(source), source.priority, ruleOf(source)],
    ...[formatNumber(source.tasksPerSecond), formatMs(source.taskCost * 1_000), formatBytes(source.pictureBytes)],
    ...[source.runnableRegions.join(' ') || 'none', shedOf(source)],
  ]);
  const headers = [
    'origin',
    'model',
    'priority',
    'residency',
    'λ tasks/s',
    'cost',
    'picture',
    'can run in',
    'given up',
  ];
  return formatTable(headers, rows);
}

function splitTable({ sources }: PlanOutcome): string {
  const rows = sources.flatMap((source) =>
    source.shares.map((share) => [
      ...[source.origin, modelOf(source), source.priority, share.region, formatNumber(share.share)],
      ...[formatNumber(share.tasksPerSecond), formatMs(share.roundTripMs), formatMs(share.transferMs)],
      ...[formatMs(share.serviceMs), formatMs(share.waitMs)],
      formatMs(share.roundTripMs + share.transferMs + share.serviceMs + share.waitMs),
    ]),
  );
  if (rows.length === 0) return 'nothing is placed';
  const headers = ['origin', 'model', 'priority', 'runs in', 'x', 'tasks/s', 'round trips', 'transfer', 'service'];
  return formatTable([...headers, 'wait', 'latency'], rows);
}

function linkTable({ links }: PlanOutcome): string {
  if (links.length === 0) return 'no region answers another one';
  const rows = links.map(({ origin, region, roundTripMs, bandwidthMbps, transfers }) => {
    const by = transfers === 0 ? 'as configured' : `by ${formatNumber(transfers)} pictures`;
    return [`${origin} → ${region}`, formatMs(roundTripMs), formatNumber(bandwidthMbps), by];
  });
  return formatTable(['link', 'round trip d', 'Mbit/s', ''], rows);
}

function decisionSection(decisions: readonly PolicyDecision[]): string[] {
  if (decisions.length === 0) return [];
  const rows = decisions.map(({ policy, region, peer, model, modelDigest, decision, reason }) => [
    ...[policy, peer === '' ? region : `${region} → ${peer}`, model || shortDigest(modelDigest) || '–'],
    ...[decision, reason],
  ]);
  return [section('decisions', formatTable(['policy', 'where', 'model', 'decision', 'reason'], rows))];
}

function summary(outcome: PlanOutcome): string {
  const { tasksPerSecond, shedPerSecond, unlistedTasksPerSecond, latencyMs, bottleneck } = outcome;
  const unlisted =
    unlistedTasksPerSecond > 0 ? `; ${formatNumber(unlistedTasksPerSecond)} a second more are not listed` : '';
  const shed = shedPerSecond > 0 ? `, ${formatNumber(shedPerSecond)} of them given up` : '';
  const reason = bottleneck === undefined ? '' : `; ${bottleneck.reason}`;
  return [
    `${formatNumber(tasksPerSecond)} tasks a second${shed}${unlisted}; expected latency ${formatMs(latencyMs)}`,
    `bottleneck: ${bottleneck?.kind ?? 'unknown'}${reason}`,
  ].join('\n');
}

function modelOf({ model, modelDigest }: PlannedSource): string {
  if (modelDigest === '') return 'several';
  return model || shortDigest(modelDigest);
}

function ruleOf({ restricted, allowedRegions }: PlannedSource): string {
  if (!restricted) return 'any';
  return allowedRegions.length === 0 ? 'no region' : `only ${allowedRegions.join(' ')}`;
}

function shedOf({ shedPerSecond, shedReason }: PlannedSource): string {
  if (shedPerSecond === 0) return '';
  return `${formatNumber(shedPerSecond)}/s: ${shedReason === 'NO_REGION' ? 'no region may or can run it' : 'no room'}`;
}
