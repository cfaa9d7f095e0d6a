import {
  type GetSyncStatusResponse,
  type Member,
  RegionSyncState,
  type RegionSyncStatus,
} from '@meridian/contracts/state';
import { formatBytes, formatMs, formatNumber, formatTime, shortDigest } from './quantity.ts';
import { formatTable } from './table.ts';

const STATES: Readonly<Record<number, string>> = {
  [RegionSyncState.ACTIVE]: 'active',
  [RegionSyncState.REMOVING]: 'removing',
  [RegionSyncState.REMOVED]: 'removed',
  [RegionSyncState.RECOVERING]: 'recovering',
  [RegionSyncState.UNHEARD]: 'unheard',
};
const HEADERS = ['region', 'state', 'known until', 'age', 'behind', 'rounds', 'pending', 'anti-entropy', 'conflicts'];

/** How far each region is; `known until` is t_j, `rounds` v_j, `behind` the distance of t_j from the newest one. */
export function formatSyncStatus(status: GetSyncStatusResponse): string {
  const newestMs = newestOf(status);
  const nowMs = Number(status.nowUnixMs);
  const rows = status.regions.map((region) => {
    const knownMs = Number(region.knownUntilUnixMs);
    const known =
      knownMs === 0 ? ['–', '–', '–'] : [formatTime(knownMs), age(nowMs - knownMs), age(newestMs - knownMs)];
    const fetchedMs = Number(region.lastFetchUnixMs);
    return [
      ...[region.region, stateOf(region), ...known, String(region.rounds), String(region.pendingEntries)],
      ...[fetchedMs === 0 ? '–' : formatTime(fetchedMs), String(region.conflicts)],
      ...[shortVector(region.versionVector), shortDigest(region.digest) || '–'],
    ];
  });
  const regions = `as ${status.region} sees it\n${formatTable([...HEADERS, 'vector', 'digest'], rows)}`;
  const links = linkRows(status);
  if (links.length === 0) return regions;
  const headers = ['asks', 'every', 'bytes a round', 'deltas', 'round trip', 'Mbit/s', 'why'];
  return `${regions}\n\nrounds of ${status.region} with each region\n${formatTable(headers, links)}`;
}

function linkRows({ regions }: GetSyncStatusResponse): string[][] {
  return regions.flatMap(({ region, link }) => {
    if (link === undefined) return [];
    const { intervalMs, roundBytes, deltaBytesPerSecond, roundTripMs, bandwidthMbps, reason } = link;
    const sent = [roundBytes > 0 ? formatBytes(roundBytes) : '–', `${formatBytes(deltaBytesPerSecond)}/s`];
    const way = [roundTripMs > 0 ? formatMs(roundTripMs) : '–', bandwidthMbps > 0 ? formatMbps(bandwidthMbps) : '–'];
    return [[region, formatMs(intervalMs), ...sent, ...way, reason]];
  });
}

/** A slow link has a small part of one. */
function formatMbps(mbps: number): string {
  return mbps < 0.1 ? String(Number(mbps.toPrecision(3))) : formatNumber(mbps);
}

/** The same as one line, for logs. */
export function formatSyncLine(status: GetSyncStatusResponse): string {
  const newestMs = newestOf(status);
  const regions = status.regions.map((region) => {
    const knownMs = Number(region.knownUntilUnixMs);
    const behind = knownMs === 0 ? '–' : age(newestMs - knownMs);
    const { rounds, pendingEntries, conflicts } = region;
    return `${region.region} ${stateOf(region)} behind ${behind} rounds ${rounds} pending ${pendingEntries} conflicts ${conflicts}`;
  });
  return `${formatTime(Number(status.nowUnixMs))}  ${regions.join(' · ')}`;
}

export function formatMembers(members: readonly Member[]): string {
  return formatTable(
    ['region', 'state'],
    members.map((member) => [member.region, stateOf(member)]),
  );
}

/** `beijing 12 · shanghai 3+4`: the counts of each region, of its lives in order of their names. */
export function shortVector(text: string): string {
  if (text === '') return '–';
  const counts = Map.groupBy(text.split(','), (entry) => entry.slice(0, entry.indexOf('@')));
  return Array.from(
    counts,
    ([region, entries]) => `${region} ${entries.map((entry) => entry.slice(entry.indexOf('=') + 1)).join('+')}`,
  ).join(' · ');
}

function newestOf({ regions }: GetSyncStatusResponse): number {
  return Math.max(0, ...regions.map(({ knownUntilUnixMs }) => Number(knownUntilUnixMs)));
}

function stateOf({ state }: Pick<RegionSyncStatus, 'state'>): string {
  return STATES[state] ?? 'unknown';
}

/** Clocks differ by some milliseconds: what is ahead is now. */
function age(ms: number): string {
  return formatMs(Math.max(0, ms));
}
