import {
  compare,
  ORACLES,
  PEERS,
  type PolicyResult,
  priced,
  type ScenarioName,
  type SimulatedRegion,
  scenario,
} from '@meridian/placement';

interface Runs {
  readonly scenario: ScenarioName;
  readonly regions: readonly SimulatedRegion[];
  readonly first: number;
  readonly seeds: number;
  /** Whether the peers run too, beside ours and the oracles. */
  readonly peers: boolean;
}

type Average = Pick<PolicyResult, 'meanMs' | 'p99Ms'>;

/** Averages over the seeds, by policy. */
export interface Averages {
  readonly boundMs: number;
  readonly peers: readonly string[];
  readonly oracles: readonly string[];
  /** @throws RangeError for a policy that did not run. */
  readonly get: (policy: string) => Average;
}

/** Runs every policy on the same tasks of each seed, and says how far it is. */
export function averages({ scenario: name, regions, first, seeds, peers }: Runs): Averages {
  const policies = [priced, ...(peers ? PEERS : []), ...ORACLES];
  const day = scenario(name, regions);
  const sums = new Map<string, { meanMs: number; p99Ms: number }>();
  let boundMs = 0;
  for (let seed = first; seed < first + seeds; seed++) {
    process.stderr.write(`\r${name}, ${regions.length} regions: seed ${seed - first + 1} of ${seeds} `);
    const { bound, results } = compare(day, policies, seed);
    boundMs += bound.meanMs / seeds;
    for (const { policy, meanMs, p99Ms } of results) {
      const sum = sums.get(policy) ?? { meanMs: 0, p99Ms: 0 };
      sums.set(policy, { meanMs: sum.meanMs + meanMs / seeds, p99Ms: sum.p99Ms + p99Ms / seeds });
    }
  }
  process.stderr.write('\n');
  const get = (policy: string) => {
    const average = sums.get(policy);
    if (average === undefined) throw new RangeError(`${policy} did not run`);
    return average;
  };
  return {
    boundMs,
    peers: peers ? PEERS.map(({ name: each }) => each) : [],
    oracles: ORACLES.map((each) => each.name),
    get,
  };
}

/** The best oracle's for one statistic: another may be best for another. */
export function leastOf({ oracles, get }: Averages, figure: (average: Average) => number): number {
  return Math.min(...oracles.map((name) => figure(get(name))));
}
