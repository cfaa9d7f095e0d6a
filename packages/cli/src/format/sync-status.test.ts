import { create } from '@bufbuild/protobuf';
import { expect, test } from '@jest/globals';
import { GetSyncStatusResponseSchema, RegionSyncState } from '@meridian/contracts/state';
import { formatSyncLine, formatSyncStatus, shortVector } from './sync-status.ts';

const nowMs = new Date(2026, 0, 31, 14, 3, 7).getTime();
const one = '0000000000000001';
const status = create(GetSyncStatusResponseSchema, {
  region: 'beijing',
  nowUnixMs: BigInt(nowMs),
  regions: [
    {
      ...{ region: 'beijing', state: RegionSyncState.ACTIVE, knownUntilUnixMs: BigInt(nowMs - 500), rounds: 12n },
      ...{ versionVector: `beijing@${one}=7,shanghai@${one}=3`, conflicts: 1, digest: `sha256:${'ab'.repeat(32)}` },
      lastFetchUnixMs: BigInt(nowMs - 2_000),
    },
    {
      ...{ region: 'shanghai', state: RegionSyncState.ACTIVE, knownUntilUnixMs: BigInt(nowMs - 10_500), rounds: 9n },
      ...{ pendingEntries: 4 },
    },
    { region: 'guangzhou', state: RegionSyncState.UNHEARD },
  ],
});

test('each region with its distance from the newest; what is not known is not a number', () => {
  const [head, columns, , ...rows] = formatSyncStatus(status).split('\n');
  expect(head).toBe('as beijing sees it');
  expect(columns?.split(/ {2,}/)).toEqual([
    ...['region', 'state', 'known until', 'age', 'behind', 'rounds', 'pending', 'anti-entropy', 'conflicts', 'vector'],
    'digest',
  ]);
  expect(rows.map((row) => row.trim().split(/ {2,}/))).toEqual([
    [
      ...['beijing', 'active', '14:03:06.500', '500 ms', '0 ms', '12', '0', '14:03:05.000', '1'],
      ...['beijing 7 · shanghai 3', 'abababababab'],
    ],
    ['shanghai', 'active', '14:02:56.500', '10.5 s', '10.0 s', '9', '4', '–', '0', '–', '–'],
    ['guangzhou', 'unheard', '–', '–', '–', '0', '0', '–', '0', '–', '–'],
  ]);
});

test('one line for logs; a vector by region, its lives apart', () => {
  expect(formatSyncLine(status)).toBe(
    '14:03:07.000  beijing active behind 0 ms rounds 12 pending 0 conflicts 1 · ' +
      'shanghai active behind 10.0 s rounds 9 pending 4 conflicts 0 · ' +
      'guangzhou unheard behind – rounds 0 pending 0 conflicts 0',
  );
  expect(shortVector(`a@${one}=1,a@0000000000000002=5,b@${one}=2`)).toBe('a 1+5 · b 2');
  expect(shortVector('')).toBe('–');
});

test('how often each other region is asked, and why, where the region says so', () => {
  const link = { bandwidthMbps: 0.004, roundTripMs: 612, roundBytes: 1_024, deltaBytesPerSecond: 5 };
  const slow = { ...link, intervalMs: 22_755.6, decidedBy: 'bandwidth', reason: '22.756 s: rounds fill it' };
  const fresh = { intervalMs: 10_000, decidedBy: 'unmeasured', reason: '10 s: as configured' };
  const regions = [{ region: 'beijing' }, { region: 'shanghai', link: slow }, { region: 'guangzhou', link: fresh }];
  const text = formatSyncStatus(create(GetSyncStatusResponseSchema, { region: 'beijing', regions }));
  const [title, columns, , ...rows] = text.split('\n').slice(text.split('\n').indexOf('') + 1);
  expect(title).toBe('rounds of beijing with each region');
  expect(columns).toMatch(/^asks +every +bytes a round +deltas +round trip +Mbit\/s +why$/);
  expect(rows.map((row) => row.trim().split(/ {2,}/))).toEqual([
    ['shanghai', '22.8 s', '1 KiB', '5 B/s', '612 ms', '0.004', '22.756 s: rounds fill it'],
    ['guangzhou', '10.0 s', '–', '0 B/s', '–', '–', '10 s: as configured'],
  ]);
  expect(formatSyncStatus(status)).not.toContain('rounds of');
});
