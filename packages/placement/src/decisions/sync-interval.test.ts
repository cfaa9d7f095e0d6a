import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { behindS, type SyncLink, syncIntervals, syncStamps } from './sync-interval.ts';

const bounds = { intervalMinMs: 1_000, intervalMaxMs: 60_000, share: 0.5 };
const link: SyncLink = { peer: 'b', roundTripMs: 50, bandwidthMbps: 8, roundBytes: 1_000, deltaBytesPerSecond: 0 };
const one = (change: Partial<SyncLink>) => syncIntervals([{ ...link, ...change }], bounds)[0];

describe('syncIntervals', () => {
  test.each([
    ['a link with room', {}, 1_000, 'least'],
    ['rounds that fill the link', { roundBytes: 5_000_000 }, 10_000, 'bandwidth'],
    ['deltas that take half of it', { roundBytes: 5_000_000, deltaBytesPerSecond: 250_000 }, 20_000, 'bandwidth'],
    ['deltas that take all of it', { deltaBytesPerSecond: 500_000 }, 60_000, 'most'],
    ['no bandwidth', { bandwidthMbps: 0 }, 60_000, 'most'],
    ['rounds too large for it', { roundBytes: 500_000_000 }, 60_000, 'most'],
    ['a slow way', { roundTripMs: 3_000 }, 3_000, 'round-trip'],
    ['a way slower than all intervals', { roundTripMs: 70_000 }, 60_000, 'most'],
    ['no bound', { bandwidthMbps: Number.POSITIVE_INFINITY, roundBytes: 5e9 }, 1_000, 'least'],
  ] as const)('%s', (_, change, intervalMs, by) => {
    const decided = one(change);
    expect(decided).toMatchObject({ peer: 'b', intervalMs, by });
    expect(decided?.reason).toMatch(/^\d+(\.\d+)? s: /);
  });

  test('is the least interval that the link allows: none shorter keeps the bound of bytes', () => {
    const amount = fc.double({ min: 0, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(amount, amount, fc.double({ min: 0.1, max: 100, noNaN: true }), (roundBytes, deltas, mbps) => {
        const decided = one({ roundBytes, deltaBytesPerSecond: deltas, bandwidthMbps: mbps });
        const used = (intervalMs: number) => (roundBytes / intervalMs) * 1_000 + deltas;
        const room = (mbps * 1e6 * bounds.share) / 8;
        if (decided === undefined || decided.by === 'most') return;
        expect(used(decided.intervalMs)).toBeLessThanOrEqual(room * (1 + 1e-9));
        if (decided.by === 'bandwidth') expect(used(decided.intervalMs * 0.999)).toBeGreaterThan(room * (1 - 1e-9));
        else expect(decided.intervalMs).toBe(bounds.intervalMinMs);
      }),
    );
  });

  test.each([
    ['round trip', { roundTripMs: Number.NaN }, /^round trip to b: NaN/],
    ['bandwidth', { bandwidthMbps: -1 }, /^bandwidth to b: -1/],
    ['bytes', { roundBytes: Number.POSITIVE_INFINITY }, /^bytes of a round with b: Infinity/],
  ])('refuses an absurd %s by name', (_, change, message) => {
    expect(() => one(change)).toThrow(message);
  });

  test('refuses bounds that leave no interval', () => {
    expect(() => syncIntervals([link], { ...bounds, intervalMinMs: 61_000 })).toThrow(/^the least interval/);
    expect(() => syncIntervals([link], { ...bounds, share: 0 })).toThrow(/^the share of a link: 0/);
  });
});

test("the article's table: three regions, 10 s", () => {
  const stamps = syncStamps(3, 10);
  expect(stamps.map(({ timeS }) => timeS)).toEqual([0, 10, 20]);
  expect(stamps.map(({ version }) => version)).toEqual([1, 2, 3]);
  expect(behindS(stamps)).toBe(30);
});
