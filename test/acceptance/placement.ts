import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Plan as LivePlan, PlanService } from '@meridian/contracts/plan';
import {
  compare,
  type Plan,
  POLICIES,
  parseScenario,
  planned,
  sharesOf,
  TASK_ROUND_TRIPS,
  type Scenario as World,
} from '@meridian/placement';
import { createClient } from '@meridian/rpc';
import { seededRandom, systemClock } from '@meridian/runtime';
import { variations } from '../faults/pictures.ts';
import { type RunningSystem, repository, startLocalSystem } from '../support/local-system.ts';
import { type LoadAnswer, OpenLoad } from '../support/open-load.ts';
import { machineUse } from './machine-use.ts';
import type { Scenario } from './scenario.ts';

/** A picture keeps its place for so long: 5 a second in the smallest region. */
const PACE_MS = 200;
const RUNS = Number(process.env.RUNS ?? '5');
const SETTLE_S = 10;
const MEASURED_S = Number(process.env.SECONDS ?? '60');
const RATIO_MAX = 1.25;
const SHARE_MAX = 0.05;
/** More, and the machine is measured and not the placement. */
const MACHINE_USE_MAX = 0.5;

interface Prediction {
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly shares: readonly number[];
}

interface Run extends Prediction {
  readonly failures: number;
  readonly machineUse: number;
  /** Of the plans that beijing's optimizer made meanwhile of what was measured. */
  readonly live: { readonly latencyMs: number; readonly shares: readonly number[] };
}

/**
 * Three regions that can do 1, 2 and 3 parts; nearly all pictures come to the smallest, four times what it can do, and all
 * together seven tenths of what all can do. What plan and simulation say of it is written down before anything runs.
 */
export const placement: Scenario = async (say) => {
  const world = await threeCities();
  const expected = predict(world);
  const names = world.regions.map(({ name }) => name);
  const list = (shares: readonly number[]) => shares.map((share, j) => `${names[j]} ${share.toFixed(3)}`).join(', ');
  say(`offered: ${names.map((name, j) => `${name} ${world.demand(j, 0).toFixed(1)}/s`).join(', ')}`);
  say(
    `predicted: mean ${expected.meanMs.toFixed(0)} ms (the plan's), p50 ${expected.p50Ms.toFixed(0)} ms and p99 ${expected.p99Ms.toFixed(0)} ms (the simulation's), shares of the plan ${list(expected.shares)}`,
  );
  const running = await startLocalSystem({
    environment: { MERIDIAN_PACE_MS: `${PACE_MS}` },
    capacities: Object.fromEntries(world.regions.map(({ name, workers }) => [name, workers])),
  });
  const runs: Run[] = [];
  try {
    for (let run = 0; run < RUNS; run++) {
      const seen = await offer(running, world, run);
      runs.push(seen);
      say(
        `run ${run + 1}: mean ${seen.meanMs.toFixed(0)} ms, p50 ${seen.p50Ms.toFixed(0)} ms, p99 ${seen.p99Ms.toFixed(0)} ms, shares ${list(seen.shares)}; ${seen.failures} failed; ${(seen.machineUse * 100).toFixed(0)} % of the machine; its live plans: ${seen.live.latencyMs.toFixed(0)} ms, ${list(seen.live.shares)}`,
      );
    }
  } finally {
    await running.stop();
  }
  return holds(expected, runs, say);
};

async function threeCities(): Promise<World> {
  const text = await readFile(join(repository, 'examples', 'three-cities.yaml'), 'utf8');
  return parseScenario(
    text
      .replace(/^meanServiceMs.*$/m, `meanServiceMs: ${PACE_MS}`)
      .replace(/^serviceCv.*$/m, `serviceCv: 0\nroundTripsPerTask: ${TASK_ROUND_TRIPS}`),
  );
}

function predict(world: World): Prediction {
  const plan: Plan = planned(world, 0);
  const simulated = compare(
    world,
    POLICIES.filter(({ name }) => name === 'meridian'),
    1,
  ).results[0];
  return {
    meanMs: plan.latencyMs,
    p50Ms: simulated?.p50Ms ?? Number.NaN,
    p99Ms: simulated?.p99Ms ?? Number.NaN,
    shares: sharesOf(plan, world),
  };
}

/** Pictures to all three doors at once, and what became of those that were sent after things had settled. */
async function offer(running: RunningSystem, world: World, run: number): Promise<Run> {
  const samples = running.provisioned.samples.map(({ path }) => path);
  const pictures = (await variations(samples, 20, 5, 240)).map(({ bytes }) => bytes);
  const loads = await Promise.all(
    world.regions.map(async ({ name }, j) => {
      const channel = await running.channel(name);
      const random = seededRandom(100 * run + j);
      return new OpenLoad({ channel, model: 'blazeface', pictures, perSecond: world.demand(j, 0), random });
    }),
  );
  for (const load of loads) load.start();
  await systemClock.sleep(SETTLE_S * 1_000);
  const fromMs = systemClock.monotonicMs();
  const use = machineUse();
  const live = await livePlans(running, world);
  const used = use();
  const answers = (await Promise.all(loads.map((load) => load.stop()))).flat();
  const counted = answers.filter(({ sentMs }) => sentMs >= fromMs);
  return { ...measured(counted, world), machineUse: used, live };
}

/** All plans of the measured time together. */
async function livePlans(running: RunningSystem, { regions }: World): Promise<Run['live']> {
  const client = createClient(PlanService, await running.planChannel('beijing'));
  const end = new AbortController();
  const plans: LivePlan[] = [];
  const reading = (async () => {
    for await (const { plan } of client.watchPlan({}, { signal: end.signal })) if (plan !== undefined) plans.push(plan);
  })().catch(() => undefined);
  await systemClock.sleep(MEASURED_S * 1_000);
  end.abort();
  await reading;
  const shares = plans.flatMap(({ outcome }) => outcome?.sources.flatMap((source) => source.shares) ?? []);
  const given = regions.map(({ name }) =>
    shares.filter(({ region }) => region === name).reduce((sum, { tasksPerSecond }) => sum + tasksPerSecond, 0),
  );
  const all = given.reduce((sum, each) => sum + each, 0);
  const latencyMs = plans.reduce((sum, { outcome }) => sum + (outcome?.latencyMs ?? Number.NaN), 0) / plans.length;
  return { latencyMs, shares: given.map((each) => each / all) };
}

function measured(answers: readonly LoadAnswer[], world: World): Omit<Run, 'machineUse' | 'live'> {
  const good = answers.filter(({ failure }) => failure === undefined);
  const sorted = good.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
  const quantile = (part: number) => sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN;
  return {
    meanMs: sorted.reduce((sum, each) => sum + each, 0) / sorted.length,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    shares: world.regions.map(({ name }) => good.filter(({ region }) => region === name).length / good.length),
    failures: answers.length - good.length,
  };
}

/** Medians over the runs; what is not a number is not good. */
function holds(expected: Prediction, runs: readonly Run[], say: (text: string) => void): boolean {
  const of = (value: (run: Run) => number) => median(runs.map(value));
  const mean = of(({ meanMs }) => meanMs) / expected.meanMs;
  const p50 = of(({ p50Ms }) => p50Ms) / expected.p50Ms;
  const p99 = of(({ p99Ms }) => p99Ms) / expected.p99Ms;
  const apart = expected.shares.map((share, j) => Math.abs(of(({ shares }) => shares[j] ?? Number.NaN) - share));
  const used = of(({ machineUse: each }) => each);
  const failures = runs.reduce((sum, run) => sum + run.failures, 0);
  say(
    `median of ${runs.length} runs over what was predicted: mean ${mean.toFixed(2)}, p50 ${p50.toFixed(2)} (at most ${RATIO_MAX} either way), p99 ${p99.toFixed(2)} (goal 1.5)`,
  );
  say(
    `shares apart from the plan's: ${apart.map((each) => each.toFixed(3)).join(', ')} (at most ${SHARE_MAX}); ${failures} failed; ${(used * 100).toFixed(0)} % of the machine (at most ${MACHINE_USE_MAX * 100})`,
  );
  const isWithin = (ratio: number) => ratio <= RATIO_MAX && ratio >= 1 / RATIO_MAX;
  const areShared = apart.every((each) => each <= SHARE_MAX);
  return isWithin(mean) && isWithin(p50) && areShared && failures === 0 && used <= MACHINE_USE_MAX;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
