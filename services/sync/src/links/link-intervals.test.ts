import { describe, expect, test } from '@jest/globals';
import { LinkIntervals, type LinkIntervalsOptions } from './link-intervals.ts';

const links: Readonly<Record<string, { roundTripMs: number; bandwidthMbps: number }>> = {
  wide: { roundTripMs: 50, bandwidthMbps: 1_000 },
  thin: { roundTripMs: 600, bandwidthMbps: 0.004 },
  thread: { roundTripMs: 600, bandwidthMbps: 0.000_4 },
};
let nowMs = 0;

function intervals(change: Partial<LinkIntervalsOptions> = {}) {
  const bounds = { intervalMinMs: 10_000, intervalMaxMs: 60_000 };
  return new LinkIntervals({ ...bounds, linkTo: (peer) => links[peer], nowMs: () => nowMs, ...change });
}

/** What is decided after one round of that size. */
function after(bytes: number, peer: string, decided = intervals()) {
  decided.idleRound(peer, bytes, 60);
  decided.decide(peer);
  return decided.statusOf(peer);
}

describe('the interval of a link', () => {
  test('is as configured while nothing is measured, and where there is no such link', () => {
    const fresh = intervals();
    expect(fresh.decide('thin')).toBe(10_000);
    expect(fresh.statusOf('thin')).toMatchObject({ by: 'unmeasured', roundTripMs: 600, roundBytes: 0 });
    expect(fresh.statusOf('thin').reason).toBe('10 s: as configured; no round without news has been measured yet');
    const stranger = after(1_000, 'added');
    expect(stranger).toMatchObject({ intervalMs: 10_000, by: 'unmeasured', bandwidthMbps: 0 });
    expect(stranger.reason).toBe('10 s: as configured; regions.yaml has no link to it');
  });

  test('is as configured on a link with room', () => {
    const wide = after(1_000, 'wide');
    expect(wide).toMatchObject({ intervalMs: 10_000, by: 'least', roundBytes: 1_000, roundTripMs: 60 });
    expect(wide.reason).toBe('10 s: the shortest allowed; the link has room');
  });

  test('is longer where rounds would take more than a tenth of the link, up to the bound', () => {
    // A tenth of 4 kbit/s is 50 bytes a second.
    const thin = after(1_000, 'thin');
    expect(thin).toMatchObject({ intervalMs: 20_000, by: 'bandwidth', bandwidthMbps: 0.004 });
    expect(thin.reason).toBe('20 s: rounds of 1000 B fill the 50 B/s that are left of the link');
    expect(after(1_000, 'thread')).toMatchObject({ intervalMs: 60_000, by: 'most' });
  });

  test('leaves room for the deltas of the last minute or so', () => {
    const decided = intervals();
    nowMs = 1_000;
    decided.pushed(1_500);
    const busy = after(1_000, 'thin', decided);
    expect(busy).toMatchObject({ intervalMs: 40_000, by: 'bandwidth', deltaBytesPerSecond: 25 });
    decided.pushed(6_000);
    expect(after(1_000, 'thin', decided).reason).toBe('60 s: the longest allowed; deltas take all of the share');
    expect(decided.decide('wide')).toBe(10_000);
    nowMs += 600_000;
    expect(decided.decide('thin')).toBeCloseTo(20_000, -1);
  });

  test('is shown as it was decided, whatever has been pushed since', () => {
    const decided = intervals();
    after(1_000, 'thin', decided);
    decided.pushed(100_000);
    expect(decided.statusOf('thin')).toMatchObject({ intervalMs: 20_000, deltaBytesPerSecond: 0 });
  });

  test('is never below the configured one, though that be above the bound', () => {
    const hourly = intervals({ intervalMinMs: 3_600_000 });
    expect(after(1_000, 'thread', hourly)).toMatchObject({ intervalMs: 3_600_000, by: 'least' });
  });
});
