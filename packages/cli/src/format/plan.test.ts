import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { expect, test } from '@jest/globals';
import { type Plan, PlanOutcomeSchema, PlanSchema } from '@meridian/contracts/plan';
import { GetSyncStatusResponseSchema } from '@meridian/contracts/state';
import { formatPlan, formatPlanLine } from './plan.ts';
import { syncDecisions } from './sync-decisions.ts';

const COMPUTED_MS = 1_700_000_000_000;
const NO_SYNC = { decisions: [], problem: '' };
const digest = `sha256:${'b'.repeat(64)}`;

type Outcome = Extract<MessageInitShape<typeof PlanOutcomeSchema>, { readonly $typeName?: never }>;

function plan(more: Outcome = {}): Plan {
  const links = [
    { origin: 'beijing', region: 'shanghai', roundTripMs: 50, bandwidthMbps: 1_000 },
    { origin: 'shanghai', region: 'beijing', roundTripMs: 50.4, bandwidthMbps: 84, transfers: 32 },
  ];
  const shares = [
    { region: 'beijing', share: 0.6, tasksPerSecond: 6, serviceMs: 100, waitMs: 40 },
    { region: 'shanghai', share: 0.4, tasksPerSecond: 4, roundTripMs: 50, transferMs: 1, serviceMs: 100, waitMs: 20 },
  ];
  const source = { origin: 'beijing', model: 'blazeface', modelDigest: digest, priority: 'normal' };
  return create(PlanSchema, {
    ...{ region: 'beijing', sequence: 7n, computedUnixMs: BigInt(COMPUTED_MS), cause: 'topology', solveMs: 0.8 },
    digest: new Uint8Array([0xab, 0xcd]),
    inputs: [
      { region: 'beijing', loadAgeMs: 80, demandAgeMs: 400, outstanding: 3, livePriceMs: 12 },
      { region: 'shanghai', loadAgeMs: 90, demandAgeMs: 500 },
      { region: 'guangzhou', leftOut: 'unreached', loadAgeMs: 2_600 },
    ],
    outcome: create(PlanOutcomeSchema, {
      regions: [
        { region: 'beijing', capacity: 1, workers: 1, load: 0.6, priceMs: 51, waitMs: 40 },
        { region: 'shanghai', capacity: 2, workers: 2, load: 0.4, remoteBytesPerSecond: 500_000, bandwidthMbps: 1_000 },
      ],
      sources: [
        { ...source, tasksPerSecond: 10, taskCost: 0.1, pictureBytes: 2_048, runnableRegions: ['beijing'], shares },
      ],
      ...{ links, tasksPerSecond: 10, latencyMs: 152, bottleneck: { kind: 'none', reason: 'no region is busy' } },
      ...more,
    }),
  });
}

test('everything that the plan was made from and comes to, with the ages of now', () => {
  const text = formatPlan(plan(), COMPUTED_MS + 1_000, NO_SYNC);
  expect(text).toMatch(
    /^plan #7 of beijing, made [\d:.]+, 1,000 ms ago \(topology\), solved in 0.8 ms, outcome abcd\n/,
  );
  expect(text).toMatch(/^beijing +1 +1 +0.6 +60 % +51 ms +12 ms +40 ms +0 of 0 +3 +1,080 ms +1,400 ms$/m);
  expect(text).toMatch(/^shanghai +2 +2 +0.4 +20 % +0 ms +0 ms +0 ms +4 of 1,000 +0 +1,090 ms +1,500 ms$/m);
  expect(text).toMatch(/^guangzhou +– .* 3,600 ms +– +gives no answer$/m);
  expect(text).toMatch(/^beijing +blazeface +normal +any +10 +100 ms +2 KiB +beijing$/m);
  expect(text).toMatch(/^beijing +blazeface +normal +shanghai +0.4 +4 +50 ms +1 ms +100 ms +20 ms +171 ms$/m);
  expect(text).toMatch(/^beijing → shanghai +50 ms +1,000 +as configured$/m);
  expect(text).toMatch(/^shanghai → beijing +50.4 ms +84 +by 32 pictures$/m);
  expect(text).toMatch(/^10 tasks a second; expected latency 152 ms\nbottleneck: none; no region is busy$/m);
});

test('what is given up, ruled out or not listed is said', () => {
  const lost = { origin: 'beijing', modelDigest: '', priority: 'low', restricted: true, tasksPerSecond: 3 };
  const sources = [{ ...lost, shedPerSecond: 3, shedReason: 'NO_REGION' }];
  const text = formatPlan(
    plan({ sources, tasksPerSecond: 3, shedPerSecond: 3, unlistedTasksPerSecond: 2 }),
    COMPUTED_MS,
    NO_SYNC,
  );
  expect(text).toMatch(/^beijing +several +low +no region +3 .* none +3\/s: no region may or can run it$/m);
  expect(text).toContain('nothing is placed');
  expect(text).toMatch(/^3 tasks a second, 3 of them given up; 2 a second more are not listed; expected/m);
});

test('one line for logs', () => {
  expect(formatPlanLine(plan())).toMatch(
    /^[\d:.]+ {2}beijing #7 topology · 10 tasks\/s, shed 0 · 152 ms · beijing 60 % · shanghai 20 % · guangzhou unreached$/,
  );
});

test('what the sync service has decided stands with the decisions of the optimizer; if it does not answer that is said', () => {
  const link = { intervalMs: 20_000, reason: '20 s: rounds of 1000 B fill the 50 B/s that are left of the link' };
  const regions = [{ region: 'beijing' }, { region: 'shanghai', link }];
  const status = create(GetSyncStatusResponseSchema, { region: 'beijing', regions });
  const cache = { policy: 'cache', region: 'beijing', decision: '16 MiB, 60 s', reason: 'callers ask again' };
  const one = plan({ decisions: [cache] });
  const text = formatPlan(one, COMPUTED_MS, { decisions: syncDecisions(status), problem: '' });
  expect(text).toMatch(/^cache +beijing +– +16 MiB, 60 s +callers ask again$/m);
  expect(text).toMatch(/^sync-interval +beijing → shanghai +– +20\.0 s +20 s: rounds of 1000 B fill the 50 B\/s that/m);
  const silent = formatPlan(one, COMPUTED_MS, { decisions: [], problem: 'region beijing: no answer' });
  expect(silent).toMatch(/^cache +beijing/m);
  expect(silent).toMatch(/^sync intervals are not known: region beijing: no answer$/m);
  expect(formatPlan(plan(), COMPUTED_MS, NO_SYNC)).not.toMatch(/decisions|sync/);
});
