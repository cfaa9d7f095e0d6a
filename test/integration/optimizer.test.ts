import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeEnvelope, type Envelope } from '@meridian/contracts';
import type { Plan } from '@meridian/contracts/plan';
import { repository } from '../support/local-system.ts';
import { OptimizerProcess } from '../support/optimizer-process.ts';
import { connectRaw } from '../support/raw-nats.ts';
import { type RegionBrokers, startRegionBrokers, until } from '../support/region-brokers.ts';
import { ScriptedReports } from '../support/scripted-reports.ts';
import { createStreams, SyncProcess } from '../support/sync-process.ts';

/**
 * Goal: an optimizer plans by what the schedulers of all regions report, follows who is there, and is not led astray by
 * reports that cannot be true. Method: the service as a process in each of two regions, real brokers over an emulated link,
 * real certificates; schedulers of which only the reports are there, right and wrong ones.
 */
const TEST_MS = 60_000;
const BLAZEFACE = `sha256:${'b'.repeat(64)}`;
let directory: string;
let brokers: RegionBrokers;
let beijing: OptimizerProcess;
let shanghai: OptimizerProcess;
let near: ScriptedReports;
let far: ScriptedReports;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'meridian-optimizer-'));
  brokers = await startRegionBrokers({ directory, regions: ['beijing', 'shanghai'], auditor: true });
  near = await ScriptedReports.connect(brokers.of('beijing'));
  far = await ScriptedReports.connect(brokers.of('shanghai'));
  beijing = await OptimizerProcess.start(brokers, 'beijing', directory);
  shanghai = await OptimizerProcess.start(brokers, 'shanghai', directory);
}, TEST_MS);

afterAll(async () => {
  await near?.close();
  await far?.close();
  await beijing?.stop();
  await shanghai?.stop();
  await brokers?.stop();
  await rm(directory, { recursive: true, force: true });
}, TEST_MS);

const source = (tasksPerSecond: number) => ({
  ...{ modelDigest: BLAZEFACE, model: 'blazeface', priority: 'normal', runnableRegions: ['beijing', 'shanghai'] },
  ...{ tasksPerSecond, pictureBytes: 100_000, expectedServiceMs: 100 },
});

/** For the command line. */
async function runningWith(sync: string): Promise<void> {
  const doors = { scheduler: beijing.address, sync, optimizer: beijing.address, nats: 'tls://127.0.0.1:1' };
  const running = { regions: { beijing: doors }, control: '', certificates: brokers.installation.directory };
  await mkdir(join(directory, 'run'), { recursive: true });
  await writeFile(join(directory, 'run', 'running.json'), JSON.stringify(running));
}

async function meridian(...args: string[]): Promise<string> {
  const program = join(repository, 'packages', 'cli', 'src', 'main.ts');
  return (await promisify(execFile)(process.execPath, [program, '--state', directory, ...args])).stdout;
}

/** Twelve tasks a second of beijing's callers, of which a region can do ten. */
function begin(): void {
  near.demand = {
    sources: [source(12)],
    links: [{ region: 'shanghai', roundTripMs: 50, bandwidthMbps: 1_000 }],
  };
  far.demand = { links: [{ region: 'beijing', roundTripMs: 50, bandwidthMbps: 1_000 }] };
  near.load = { claimsAhead: { workers: 2, claims: 16, fetchMs: 52.4, serviceMs: 31 } };
  near.begin();
  far.begin();
}

async function planOf(optimizer: OptimizerProcess): Promise<Plan> {
  const { plan } = await optimizer.client('client').getPlan({}, { timeoutMs: 5_000 });
  if (plan === undefined) throw new Error('no plan');
  return plan;
}

const regionsOf = ({ outcome }: Plan) => outcome?.regions.map(({ region }) => region) ?? [];
const hexOf = ({ digest }: Plan) => Buffer.from(digest).toString('hex');

/** Until the region's last plan has these regions as targets. @returns how long that took, ms */
async function targets(optimizer: OptimizerProcess, wanted: readonly string[]): Promise<number> {
  const startMs = performance.now();
  const client = optimizer.client('client');
  await until(async () => {
    const { plan } = await client.getPlan({}, { timeoutMs: 5_000 }).catch(() => ({ plan: undefined }));
    const found = plan === undefined ? '' : regionsOf(plan).join();
    return found === wanted.join() || `targets are ${found}`;
  });
  return performance.now() - startMs;
}

describe('an optimizer on a real broker', () => {
  test('says that there is no plan before anybody has reported', async () => {
    const asked = beijing.client('client').getPlan({}, { timeoutMs: 5_000 });
    await expect(asked).rejects.toMatchObject({ code: 'UNAVAILABLE', reason: 'NO_PLAN_YET', retryable: true });
  });

  test(
    'both regions have the same plan of the same reports, byte for byte',
    async () => {
      begin();
      await targets(beijing, ['beijing', 'shanghai']);
      await targets(shanghai, ['beijing', 'shanghai']);
      await until(async () => {
        const [one, other] = [await planOf(beijing), await planOf(shanghai)];
        return hexOf(one) === hexOf(other) || `${hexOf(one)} and ${hexOf(other)}`;
      });
      const { outcome, region, inputs } = await planOf(beijing);
      expect(region).toBe('beijing');
      expect(outcome).toMatchObject({ tasksPerSecond: 12, shedPerSecond: 0 });
      const [only] = outcome?.sources ?? [];
      expect(only?.shares.map(({ region: runs }) => runs)).toEqual(['beijing', 'shanghai']);
      expect(only?.shares.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 9);
      expect(inputs.map((input) => [input.region, input.leftOut, input.demandReports])).toEqual([
        ['beijing', '', 1],
        ['shanghai', '', 1],
      ]);
    },
    TEST_MS,
  );

  test(
    'each plan is an event of the region, caused by the reports, with a vector that covers theirs',
    async () => {
      const { connection } = await connectRaw(brokers.of('beijing'), 'auditor');
      const heard: Envelope[] = [];
      connection.subscribe('meridian.>', {
        callback: (_, message) => {
          const header = (name: string) => message.headers?.get(name) ?? '';
          if (header('ce-type') !== '') heard.push(decodeEnvelope(header));
        },
      });
      const plans = () => heard.filter(({ type }) => type === 'meridian.plan.made.v1');
      await until(() => plans().length >= 3 || `${plans().length} plans`);
      const last = plans().at(-1);
      expect(last?.source).toBe('/beijing/optimizer/optimizer');
      const causes = heard.filter(({ id }) => last?.causes.includes(id));
      expect(new Set(causes.map(({ source }) => source))).toEqual(
        new Set(['/beijing/scheduler/scripted', '/shanghai/scheduler/scripted']),
      );
      for (const { vector } of causes) expect(last?.vector.dominates(vector)).toBe(true);
      expect(last?.vector.size).toBe(2);
      // It stays in the region.
      expect(heard.some(({ type, source }) => type === 'meridian.plan.made.v1' && source.startsWith('/shanghai'))).toBe(
        false,
      );
      await connection.close();
    },
    TEST_MS,
  );

  test(
    'reports that cannot be true are counted by their reason and change no plan, however many come',
    async () => {
      const seen = new Set<string>();
      const watching = new AbortController();
      const watched = (async () => {
        for await (const { plan } of beijing.client('client').watchPlan({}, { signal: watching.signal }))
          if (plan !== undefined) seen.add(hexOf(plan));
      })().catch(() => undefined);
      await until(() => seen.size === 1 || 'no plan yet');
      const link = { region: 'beijing', roundTripMs: 50, bandwidthMbps: 1_000 };
      const long = 'x'.repeat(64);
      const wrong: [kind: 'load' | 'demand', reason: string, send: () => void][] = [
        ['load', 'number', () => far.sendLoad({ capacity: Number.NaN })],
        ['load', 'number', () => far.sendLoad({ capacity: -5 })],
        ['load', 'number', () => far.sendLoad({ capacity: 1e300 })],
        ['load', 'number', () => far.sendLoad({ price: Number.POSITIVE_INFINITY })],
        ['load', 'number', () => far.sendLoad({ workers: 4_000_000_000, slots: 4_000_000_000 })],
        ['load', 'number', () => far.sendLoad({ models: [{ modelDigest: BLAZEFACE, serviceMs: -1 }] })],
        ['load', 'text', () => far.sendLoad({ models: [{ modelDigest: 'unknown', serviceMs: 1 }] })],
        ['load', 'region', () => far.sendLoad({ region: 'beijing', capacity: 100 })],
        ['load', 'region', () => far.sendLoad({ region: 'atlantis' })],
        ['load', 'stale', () => far.sendLoad({ capacity: 9, measuredUnixMs: BigInt(Date.now() - 60_000) })],
        ['load', 'ahead', () => far.sendLoad({ capacity: 9, measuredUnixMs: BigInt(Date.now() + 60_000) })],
        ['demand', 'number', () => far.sendDemand({ sources: [source(Number.NaN)] })],
        ['demand', 'number', () => far.sendDemand({ sources: [source(-3)] })],
        ['demand', 'number', () => far.sendDemand({ sources: [source(1e12)] })],
        ['demand', 'number', () => far.sendDemand({ links: [{ ...link, roundTripMs: -50 }] })],
        ['demand', 'number', () => far.sendDemand({ links: [{ ...link, bandwidthMbps: 0 }] })],
        ['demand', 'text', () => far.sendDemand({ sources: [{ ...source(5), priority: 'royal' }] })],
        ['demand', 'text', () => far.sendDemand({ sources: [{ ...source(5), model: long }] })],
        ['demand', 'too-many', () => far.sendDemand({ sources: Array.from({ length: 129 }, () => source(5)) })],
        ['demand', 'region', () => far.sendDemand({ region: 'beijing', sources: [source(500)] })],
        ['demand', 'stale', () => far.sendDemand({ sources: [source(500)], measuredUnixMs: 1n })],
      ];
      const [before, { sequence }] = [await beijing.counted('meridian_optimizer_plans_total'), await planOf(beijing)];
      for (let round = 0; round < 20; round++) for (const [, , send] of wrong) send();
      for (const [kind, reason] of new Map(
        wrong.map(([kind, reason]) => [`${kind} ${reason}`, [kind, reason]]),
      ).values()) {
        const count = 20 * wrong.filter((one) => one[0] === kind && one[1] === reason).length;
        const labels = [`kind="${kind}"`, `meridian_reason="${reason}"`];
        await until(async () => {
          const counted = await beijing.counted('meridian_optimizer_reports_rejected_total', ...labels);
          return counted === count || `${counted} of ${count} ${kind} ${reason}`;
        });
      }
      await until(async () => (await planOf(beijing)).sequence >= sequence + 2n || 'no plan since');
      expect(await beijing.counted('meridian_optimizer_plans_total')).toBeGreaterThan(before);
      expect(await beijing.counted('meridian_optimizer_plans_failed_total')).toBe(0);
      watching.abort();
      await watched;
      expect([...seen]).toHaveLength(1);
    },
    TEST_MS,
  );

  test(
    'a region that falls silent is no target, one that is back is, and one without workers is not',
    async () => {
      far.fallSilent();
      await targets(beijing, ['beijing']);
      const silent = (await planOf(beijing)).inputs.find(({ region }) => region === 'shanghai');
      expect(silent).toMatchObject({ leftOut: 'silent', demandReports: 0 });
      far.begin();
      const backMs = await targets(beijing, ['beijing', 'shanghai']);
      expect(backMs).toBeLessThan(3_000);
      far.load = { workers: 0, slots: 0 };
      await targets(beijing, ['beijing']);
      far.load = {};
      await targets(beijing, ['beijing', 'shanghai']);
    },
    TEST_MS,
  );

  test(
    'a region that is cut off plans for itself, and both have one plan again afterwards',
    async () => {
      brokers.emulator.cut('beijing', 'shanghai');
      await targets(beijing, ['beijing']);
      await targets(shanghai, ['shanghai']);
      expect((await planOf(shanghai)).outcome?.sources).toEqual([]);
      expect((await planOf(beijing)).outcome?.shedPerSecond).toBeCloseTo(12 - 9.8, 6);
      brokers.emulator.heal('beijing', 'shanghai');
      await targets(beijing, ['beijing', 'shanghai']);
      await targets(shanghai, ['beijing', 'shanghai']);
      await until(async () => hexOf(await planOf(beijing)) === hexOf(await planOf(shanghai)) || 'plans differ');
    },
    TEST_MS,
  );

  test('clients and operators may ask, services may not', async () => {
    expect((await beijing.client('operator').getPlan({}, { timeoutMs: 5_000 })).plan).toBeDefined();
    for (const role of ['worker', 'scheduler'] as const)
      await expect(beijing.client(role).getPlan({}, { timeoutMs: 5_000 })).rejects.toMatchObject({
        reason: 'METHOD_NOT_ALLOWED',
      });
  });

  test(
    '`meridian plan` prints it, and as JSON',
    async () => {
      await runningWith('127.0.0.1:1');
      const shown = await meridian('plan');
      expect(shown).toMatch(/^plan #\d+ of beijing, made .* ago \(\w+\), solved in .* ms, outcome [0-9a-f]{12}\n/);
      expect(shown).toMatch(/^beijing +blazeface +normal +any +12 +100 ms/m);
      expect(shown).toMatch(/^beijing → shanghai +50 ms +1,000 +as configured$/m);
      expect(shown).toMatch(/^12 tasks a second; expected latency .* ms$/m);
      expect(shown).toMatch(
        /^claims-ahead +beijing +– +8 per worker +bytes are here 52 ms after they are asked for, /m,
      );
      const json: unknown = JSON.parse(await meridian('plan', '--json'));
      expect(json).toMatchObject({ plan: { region: 'beijing', outcome: { tasksPerSecond: 12 } } });
      // No sync service is there.
      expect(shown).toMatch(/^sync intervals are not known: region beijing at 127.0.0.1:1: /m);
      expect(json).toMatchObject({ syncProblem: expect.stringMatching(/^region beijing at 127.0.0.1:1: /) });
      expect(json).not.toHaveProperty('syncDecisions');
    },
    TEST_MS,
  );

  test(
    '`meridian plan` has the sync intervals from the sync service of the region',
    async () => {
      await createStreams(brokers, 'beijing');
      const environment = { MERIDIAN_PEER_WAIT_MS: '0', MERIDIAN_FETCH_INTERVAL_MS: '3s' };
      const sync = new SyncProcess(brokers, { region: 'beijing', directory, environment });
      await sync.start();
      try {
        await runningWith(sync.address);
        expect(await meridian('plan')).toMatch(
          /^sync-interval +beijing → shanghai +– +3,000 ms +3 s: as configured; no /m,
        );
        const json: unknown = JSON.parse(await meridian('plan', '--json'));
        const decision = { policy: 'sync-interval', region: 'beijing', peer: 'shanghai', decision: '3,000 ms' };
        expect(json).toMatchObject({ plan: { region: 'beijing' }, syncDecisions: [decision] });
        expect(json).not.toHaveProperty('syncProblem');
      } finally {
        await sync.stop();
      }
    },
    TEST_MS,
  );
});
