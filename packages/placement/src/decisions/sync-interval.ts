import { Failure } from '@meridian/failure';

/**
 * How often a region exchanges state with each peer. The article's model, read as freshness:
 *
 *   t_j    the time up to which j is known; v_j: its completed rounds
 *   Δt_j   interval of the link to j
 *
 * minimise   Σ_j (t_max − t_j)
 * where      t_j ≥ t_pre + Δt_j,  v_j ≥ v_pre + 1     a round moves both on
 *            bytes of a round ÷ Δt_j + deltas ≤ b_j    what the link's share allows
 *
 * A link that is Δt_j apart is on average Δt_j / 2 behind, so the sum is least when each Δt_j is as short as its own link
 * allows: the links share nothing here.
 */
export interface SyncLink {
  readonly peer: string;
  readonly roundTripMs: number;
  /** Infinity for no bound. */
  readonly bandwidthMbps: number;
  /** What a round sends when there is nothing to catch up with: heads and answers. */
  readonly roundBytes: number;
  /** Deltas that are pushed between rounds, bytes a second. */
  readonly deltaBytesPerSecond: number;
}

export interface SyncBounds {
  readonly intervalMinMs: number;
  readonly intervalMaxMs: number;
  /** Part of a link's bandwidth that state may use, over 0, at most 1. */
  readonly share: number;
}

export interface SyncInterval {
  readonly peer: string;
  readonly intervalMs: number;
  /** What decided: the link's bytes, its round trip, or a bound. */
  readonly by: 'bandwidth' | 'round-trip' | 'least' | 'most';
  readonly reason: string;
}

/** One row of the article's table. */
export interface SyncStamp {
  readonly timeS: number;
  readonly version: number;
}

/**
 * The interval of each link, in the order given.
 * @throws Failure INVALID_ARGUMENT / SYNC_INTERVAL_INPUT_INVALID that names the value. Not retryable.
 */
export function syncIntervals(links: readonly SyncLink[], bounds: SyncBounds): SyncInterval[] {
  within(bounds.intervalMinMs, 1, bounds.intervalMaxMs, 'the least interval');
  within(bounds.intervalMaxMs, 1, Number.MAX_SAFE_INTEGER, 'the longest interval');
  within(bounds.share, Number.MIN_VALUE, 1, 'the share of a link');
  return links.map((link) => intervalOf(link, bounds));
}

/** Round k = 0, 1, 2 … stamps region k with t = kΔt and v = k + 1: each from the one before. */
export function syncStamps(regions: number, intervalS: number): SyncStamp[] {
  within(regions, 1, Number.MAX_SAFE_INTEGER, 'the count of regions');
  within(intervalS, 0, Number.MAX_SAFE_INTEGER, 'the interval');
  const stamps: SyncStamp[] = [{ timeS: 0, version: 1 }];
  for (let k = 1; k < regions; k++) {
    const { timeS, version } = stamps[k - 1] as SyncStamp;
    stamps.push({ timeS: timeS + intervalS, version: version + 1 });
  }
  return stamps;
}

/** Σ(t_max − t_j): how far all regions together are behind the freshest, s. */
export function behindS(stamps: readonly SyncStamp[]): number {
  const latest = stamps.reduce((max, { timeS }) => Math.max(max, timeS), Number.NEGATIVE_INFINITY);
  return stamps.reduce((sum, { timeS }) => sum + latest - timeS, 0);
}

function intervalOf(link: SyncLink, { intervalMinMs, intervalMaxMs, share }: SyncBounds): SyncInterval {
  requireLink(link);
  const { peer, roundTripMs, roundBytes, deltaBytesPerSecond } = link;
  const room = (link.bandwidthMbps * 1e6 * share) / 8 - deltaBytesPerSecond;
  const bytesMs = millisecondsFor(roundBytes, room);
  const wanted = Math.max(intervalMinMs, roundTripMs, bytesMs);
  if (wanted > intervalMaxMs) {
    const why = room > 0 ? `rounds of ${roundBytes} B fit every ${seconds(bytesMs)}` : 'deltas take all of the share';
    const reason = `${seconds(intervalMaxMs)}: the longest allowed; ${roundTripMs > intervalMaxMs ? `the round trip is ${seconds(roundTripMs)}` : why}`;
    return { peer, intervalMs: intervalMaxMs, by: 'most', reason };
  }
  if (wanted === bytesMs)
    return {
      ...{ peer, intervalMs: wanted, by: 'bandwidth' },
      reason: `${seconds(wanted)}: rounds of ${roundBytes} B fill the ${Math.round(room)} B/s that are left of the link`,
    };
  if (wanted === roundTripMs && roundTripMs > intervalMinMs)
    return { peer, intervalMs: wanted, by: 'round-trip', reason: `${seconds(wanted)}: a round takes one round trip` };
  return {
    peer,
    intervalMs: wanted,
    by: 'least',
    reason: `${seconds(wanted)}: the shortest allowed; the link has room`,
  };
}

/** Deltas that have more than the share leave nothing, not even for rounds of no bytes. */
function millisecondsFor(bytes: number, perSecond: number): number {
  if (perSecond < 0) return Number.POSITIVE_INFINITY;
  return bytes === 0 ? 0 : (bytes * 1_000) / perSecond;
}

function requireLink({ peer, roundTripMs, bandwidthMbps, roundBytes, deltaBytesPerSecond }: SyncLink): void {
  within(roundTripMs, 0, Number.MAX_SAFE_INTEGER, `round trip to ${peer}`);
  within(bandwidthMbps, 0, Number.POSITIVE_INFINITY, `bandwidth to ${peer}`);
  within(roundBytes, 0, Number.MAX_SAFE_INTEGER, `bytes of a round with ${peer}`);
  within(deltaBytesPerSecond, 0, Number.MAX_SAFE_INTEGER, `deltas to ${peer}`);
}

function seconds(ms: number): string {
  return `${Number((ms / 1_000).toFixed(3))} s`;
}

function within(value: number, min: number, max: number, what: string): void {
  if (value >= min && value <= max) return;
  const message = `${what}: ${value} is not between ${min} and ${max}`;
  throw new Failure('INVALID_ARGUMENT', message, { reason: 'SYNC_INTERVAL_INPUT_INVALID' });
}
