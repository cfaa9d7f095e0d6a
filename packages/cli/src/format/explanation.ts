import type { ExplainTaskResponse, PlacementCandidate, PlacementDecision } from '@meridian/contracts/region';
import { formatDateTime, formatMs, formatNumber, shortDigest } from './quantity.ts';
import { formatTable } from './table.ts';

const EXCLUSIONS: Readonly<Record<string, string>> = {
  down: 'down: silent for too long',
  suspect: 'suspect: not heard of lately',
  stale: 'no fresh load report',
  removed: 'removed from the system',
  'no-workers': 'no worker',
  'model-not-ready': 'model not ready',
  residency: 'not allowed by the residency rule',
  window: 'enough tasks of this owner are there',
  'just-failed': 'the attempt before failed there',
};

/** Every decision about a task: the terms of each region's cost, why some could not be taken, and why the winner won. */
export function formatExplanation({ taskId, decisions }: ExplainTaskResponse): string {
  return [`task ${taskId}`, ...decisions.map(formatDecision)].join('\n\n');
}

function formatDecision(decision: PlacementDecision): string {
  const { attempt, winner, decidedUnixMs, priority, modelDigest, waitWeight, candidates } = decision;
  const what = winner === '' ? 'waits: no region can take it now' : `attempt ${attempt}: placed in ${winner}`;
  const rows = [...candidates].sort(byPlace(winner)).map((candidate) => rowOf(candidate, winner));
  const headers = ['', 'region', 'round trips', 'transfer', 'service', 'price', 'wait', 'total', 'ahead', 'slots'];
  return [
    `${what}, ${formatDateTime(Number(decidedUnixMs))}`,
    `priority ${priority} · model ${shortDigest(modelDigest)} · residency ${ruleOf(decision)}`,
    formatTable([...headers, 'why not'], rows),
    `total = round trips + transfer + service + price + ${formatNumber(waitWeight)} × wait`,
    ...reasonOf(decision),
  ].join('\n');
}

function rowOf(candidate: PlacementCandidate, winner: string): string[] {
  const { region, roundTripMs, transferMs, serviceMs, priceMs, waitMs, totalMs, outstanding, unseen } = candidate;
  const terms = [roundTripMs, transferMs, serviceMs, priceMs, waitMs, totalMs].map(formatMs);
  const ahead = `${formatNumber(outstanding + unseen)}`;
  const rule = candidate.exclusion === 'residency' && candidate.notAllowed !== '' ? `: ${candidate.notAllowed}` : '';
  const why = `${EXCLUSIONS[candidate.exclusion] ?? candidate.exclusion}${rule}`;
  return [region === winner ? '→' : ' ', region, ...terms, ahead, formatNumber(candidate.slots), why];
}

/** The winner first, then what could have been taken, by cost. */
function byPlace(winner: string): (a: PlacementCandidate, b: PlacementCandidate) => number {
  const rank = ({ region, exclusion }: PlacementCandidate) => (region === winner ? 0 : exclusion === '' ? 1 : 2);
  return (a, b) => rank(a) - rank(b) || a.totalMs - b.totalMs;
}

function ruleOf({ restricted, allowedRegions, preferredRegions }: PlacementDecision): string {
  const prefers = preferredRegions.length === 0 ? '' : `, ${preferredRegions.join(', ')} first`;
  if (!restricted) return `any region${prefers}`;
  return allowedRegions.length === 0 ? 'no region' : `only ${allowedRegions.join(', ')}${prefers}`;
}

function reasonOf({ winner, candidates, preferredRegions }: PlacementDecision): string[] {
  const won = candidates.find(({ region }) => region === winner);
  if (won === undefined) return [];
  if (won.exclusion !== '') return [`${winner} is the last resort: nobody else could take it`];
  const isPreferred = preferredRegions.includes(winner);
  const others = candidates.filter(
    ({ region, exclusion }) =>
      region !== winner && exclusion === '' && (!isPreferred || preferredRegions.includes(region)),
  );
  const next = others.reduce<PlacementCandidate | undefined>(
    (least, one) => (least === undefined || one.totalMs < least.totalMs ? one : least),
    undefined,
  );
  if (next === undefined)
    return [`${winner} won: no other ${isPreferred ? 'preferred region' : 'region'} could take it`];
  return [`${winner} won: ${formatMs(next.totalMs - won.totalMs)} less than ${next.region}, the next one`];
}
