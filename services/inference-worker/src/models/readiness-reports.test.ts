import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Failure } from '@meridian/failure';
import { createLogger, seededRandom, VirtualClock } from '@meridian/runtime';
import { ReadinessReports } from './readiness-reports.ts';

/** Goal: the sync service knows what this worker can run for as long as it lives, whatever becomes of single calls. */
const answer = { $typeName: 'meridian.state.v1.ReportReadyResponse', versionVector: '' } as const;
let clock: VirtualClock;
let said: string[];
let failure: Failure | undefined;
let known: Set<string>;
let reports: ReadinessReports;

beforeEach(() => {
  [clock, said, failure, known] = [new VirtualClock(), [], undefined, new Set(['d', 'e'])];
  reports = new ReadinessReports({
    client: {
      reportReady: async ({ modelDigest, ready, problem, leaseMs }) => {
        if (failure !== undefined) throw failure;
        expect(leaseMs).toBeGreaterThan(30_000);
        said.push(`${modelDigest} ${ready ? 'ready' : `not ready ${problem}`}`.trim());
        return answer;
      },
    },
    ...{ worker: 'w', isKnown: (digest: string) => known.has(digest), clock, random: seededRandom(1) },
    logger: createLogger({ name: 'test', region: 'beijing', level: 'silent' }),
  });
});

afterEach(async () => {
  await reports.drain(new AbortController().signal);
  expect(clock.pendingTimers).toBe(0);
});

test('a word is said at once, and again while it holds; the newest is the only one', async () => {
  reports.problem('d', 'no input x');
  reports.problem('d', 'no input x');
  await clock.advanceAsync(30_000);
  expect(said).toEqual(['d not ready no input x', 'd not ready no input x', 'd not ready no input x']);
  said.length = 0;
  reports.ready('d');
  await clock.advanceAsync(15_000);
  expect(said).toEqual(['d ready', 'd ready']);
});

test('what the sync service did not hear is said again soon', async () => {
  failure = new Failure('UNAVAILABLE', 'no connection');
  reports.ready('d');
  await clock.advanceAsync(60_000);
  failure = undefined;
  await clock.advanceAsync(5_000);
  expect(said).toEqual(['d ready']);
});

test('a word that is withdrawn, or of a version that is gone, is not repeated', async () => {
  reports.problem('d', 'no input x');
  reports.ready('e');
  await clock.advanceAsync(1);
  reports.withdraw('d');
  reports.withdraw('d');
  known.delete('e');
  await clock.advanceAsync(60_000);
  expect(said).toEqual(['d not ready no input x', 'e ready', 'd not ready']);
});

test('a worker that stops takes everything back, and is silent then', async () => {
  reports.ready('d');
  reports.problem('e', 'no input x');
  await clock.advanceAsync(1);
  said.length = 0;
  await reports.drain(new AbortController().signal);
  await clock.advanceAsync(60_000);
  expect(said.sort()).toEqual(['d not ready', 'e not ready']);
});
