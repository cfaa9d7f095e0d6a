import {
  type Beliefs,
  cheapest,
  MEASURED_SCENARIOS,
  type ScenarioName,
  SIX,
  TaskSizes,
  TWENTY_FOUR,
  WAIT_WEIGHT,
} from '@meridian/placement';
import { seededRandom, systemClock } from '@meridian/runtime';
import type { Row } from '../report.ts';
import { type Averages, averages, leastOf } from './policy-averages.ts';

/** Constants were tuned on seeds 1 … 4. */
const FIRST_SEED = 101;
const SEEDS = Number(process.env.SEEDS ?? '10');
const WIDE_SEEDS = Number(process.env.WIDE_SEEDS ?? '10');
const ONLY_SCENARIO = process.env.SCENARIO ?? '';

const MEAN_GOALS: Readonly<Record<string, number>> = { calm: 1.08, sun: 1.2, hot: 1.35, flash: 1.15, brownout: 1.12 };
const P99_GOALS: Readonly<Record<string, number>> = { hot: 1.25 };
const WIDE_GOALS: Readonly<Record<string, number>> = { hot: 1.25 };

/** What these four had where routing policies were first compared (an implementation of its own). */
const PUBLISHED: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  calm: { nearest: 37, 'least-outstanding': 3.75, prequal: 1.22, 'oracle-wait-1': 1.24 },
  sun: { nearest: 207, 'least-outstanding': 2.94, prequal: 2.02, 'oracle-wait-1': 2.05 },
  hot: { nearest: 408, 'least-outstanding': 2.35, prequal: 2.25, 'oracle-wait-1': 2.34 },
  flash: { nearest: 83, 'least-outstanding': 3.37, prequal: 1.46, 'oracle-wait-1': 1.45 },
  brownout: { nearest: 102, 'least-outstanding': 3.52, prequal: 1.51, 'oracle-wait-1': 1.39 },
};

/**
 * The placement in simulation: 6 regions against the bound, all peers and all oracles, 24 regions against the oracles, and
 * what one decision costs. Ratios are of averages over the seeds. docs/simulation.md has what is simulated.
 */
export async function policyRows(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const name of MEASURED_SCENARIOS) {
    if (ONLY_SCENARIO !== '' && ONLY_SCENARIO !== name) continue;
    if (SEEDS > 0) rows.push(...sixRows(name));
    if (WIDE_SEEDS > 0) rows.push(...wideRows(name));
  }
  return [...rows, decisionRow()];
}

function sixRows(name: ScenarioName): Row[] {
  const of = averages({ scenario: name, regions: SIX, first: FIRST_SEED, seeds: SEEDS, peers: true });
  const ours = of.get('meridian');
  const published = PUBLISHED[name] ?? {};
  const bound = of.boundMs;
  return [
    {
      metric: `${name}_mean_over_bound_ratio`,
      value: ours.meanMs / bound,
      unit: 'ratio',
      goal: `<= ${MEAN_GOALS[name]}`,
      peers: { 'bound ms': bound, ...others(of, ({ meanMs }) => meanMs / bound) },
    },
    {
      metric: `${name}_p99_over_oracle_ratio`,
      value: ours.p99Ms / leastOf(of, ({ p99Ms }) => p99Ms),
      unit: 'ratio',
      goal: `<= ${P99_GOALS[name] ?? 1.15}`,
      peers: { 'p99 ms': ours.p99Ms, ...others(of, ({ p99Ms }) => p99Ms) },
    },
    {
      metric: `${name}_mean_over_best_peer_ratio`,
      value: ours.meanMs / Math.min(...of.peers.map((peer) => of.get(peer).meanMs)),
      unit: 'ratio',
      goal: '<= 1.01',
      peers: {},
    },
    {
      metric: `${name}_calibration_error_ratio`,
      value: Math.max(
        ...Object.entries(published).map(([policy, ratio]) => Math.abs(of.get(policy).meanMs / bound / ratio - 1)),
      ),
      unit: 'ratio',
      goal: '<= 0.1',
      peers: published,
    },
  ];
}

function wideRows(name: ScenarioName): Row[] {
  const of = averages({ scenario: name, regions: TWENTY_FOUR, first: FIRST_SEED, seeds: WIDE_SEEDS, peers: false });
  const ours = of.get('meridian');
  return [
    {
      metric: `${name}_24_mean_over_oracle_ratio`,
      value: ours.meanMs / leastOf(of, ({ meanMs }) => meanMs),
      unit: 'ratio',
      goal: `<= ${WIDE_GOALS[name] ?? 1.05}`,
      peers: { 'mean ms': ours.meanMs, 'bound ms': of.boundMs, ...others(of, ({ meanMs }) => meanMs) },
    },
    {
      metric: `${name}_24_p99_over_oracle_ratio`,
      value: ours.p99Ms / leastOf(of, ({ p99Ms }) => p99Ms),
      unit: 'ratio',
      goal: '',
      peers: { 'p99 ms': ours.p99Ms, ...others(of, ({ p99Ms }) => p99Ms) },
    },
  ];
}

function others(of: Averages, figure: (of: { meanMs: number; p99Ms: number }) => number): Record<string, number> {
  const names = [...of.peers, ...of.oracles];
  return Object.fromEntries(names.map((name) => [name, figure(of.get(name))]));
}

const DECISIONS = 2_000_000;

/** The choice among 24 regions whose load is never the same, by the size of the task, on one core. */
function decisionRow(): Row {
  const random = seededRandom(1);
  const column = (most: number) => Float64Array.from(TWENTY_FOUR, () => random.next() * most);
  const beliefs: Beliefs = {
    ...{ wayMs: column(300), serviceMs: column(60), workers: column(20), priceMs: column(100) },
    ...{ outstanding: column(40), unseen: column(4) },
  };
  const everywhere = () => true;
  const sizes = new TaskSizes();
  for (let bytes = 0; bytes < 1_000; bytes++) sizes.learn('model', bytes, 20 + bytes / 50);
  const beganMs = systemClock.monotonicMs();
  for (let task = 0; task < DECISIONS; task++) {
    const bytes = task % 1_000;
    const region = cheapest(beliefs, everywhere, WAIT_WEIGHT, sizes.of('model', bytes));
    sizes.placed('model', bytes);
    beliefs.unseen[region] = ((beliefs.unseen[region] ?? 0) + 1) % 64;
  }
  const seconds = (systemClock.monotonicMs() - beganMs) / 1_000;
  return {
    metric: 'placement_decisions_per_second',
    value: DECISIONS / seconds,
    unit: '1/s',
    goal: '>= 200000',
    peers: {},
  };
}
