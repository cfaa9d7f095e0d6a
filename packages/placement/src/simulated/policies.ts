import type { Random } from '@meridian/runtime';
import { type Beliefs, cheapest, expectedWaitMs, WAIT_WEIGHT } from '../online/cheapest.ts';
import { TaskSizes } from '../online/task-size.ts';
import { Clairvoyant } from './clairvoyant.ts';
import type { Policy, Sight } from './policy.ts';
import { PlanSplit } from './split.ts';
import { ZoneAware } from './zone-aware.ts';

const everywhere = () => true;

/** The one that runs in production: prices by the size of the task and a multiple of the wait, by stale beliefs. */
export const priced: Policy = {
  name: 'meridian',
  begin: ({ beliefs }) => {
    const sizes = beliefs.map(() => new TaskSizes());
    return {
      place: (origin, _, __, size) => {
        const known = sizes[origin] as TaskSizes;
        const region = cheapest(beliefs[origin] as Beliefs, everywhere, WAIT_WEIGHT, known.of(MODEL, size));
        known.placed(MODEL, size);
        return region;
      },
      learn: (origin, size, serviceMs) => (sizes[origin] as TaskSizes).learn(MODEL, size, serviceMs),
    };
  },
};

const MODEL = 'simulated';

/** The same, but every task pays the same: what it was before sizes were learnt. */
const pricedAlike: Policy = {
  name: 'meridian-unsized',
  begin: ({ beliefs }) => ({ place: (origin) => cheapest(beliefs[origin] as Beliefs, everywhere) }),
};

const nearest: Policy = { name: 'nearest', begin: () => ({ place: (origin) => origin }) };

/** Each origin goes round all regions. */
const roundRobin: Policy = {
  name: 'round-robin',
  begin: ({ regions }) => {
    const last = new Int32Array(regions);
    return {
      place: (origin) => {
        const region = ((last[origin] as number) + 1) % regions;
        last[origin] = region;
        return region;
      },
    };
  },
};

/** Least outstanding a worker, known everywhere at once. */
const leastOutstanding: Policy = {
  name: 'least-outstanding',
  begin: ({ regions, truth }, random) => ({
    // Chance breaks ties: always the first of equals would favour it.
    place: () => argmin(regions, (j) => occupancy(truth, j) + random.next() * 1e-9),
  }),
};

/** The better of two regions drawn at random, known everywhere at once. */
const powerOfTwo: Policy = {
  name: 'power-of-two',
  begin: ({ regions, truth }, random) => ({
    place: () => {
      const [a, b] = [random.int(regions), random.int(regions)];
      return occupancy(truth, a) <= occupancy(truth, b) ? a : b;
    },
  }),
};

/**
 * Wydrowski et al., "Load is not what you should balance: introducing Prequal" (NSDI 2024): regions with more requests in
 * flight than a high quantile of all are hot; the least latency of the others wins, or of hot ones the least in flight.
 * Its probes are our beliefs, which every result renews: fresher than three probes a request would be.
 */
const prequal: Policy = {
  name: 'prequal',
  begin: ({ regions, beliefs, truth }) => {
    const sorted = new Float64Array(regions);
    return {
      place: (origin) => {
        const own = beliefs[origin] as Beliefs;
        for (let j = 0; j < regions; j++) sorted[j] = occupancy(own, j);
        sorted.sort();
        const hot = Math.max(sorted[Math.floor(HOT_QUANTILE * regions)] ?? 0, 1);
        const cold = argmin(regions, (j) =>
          occupancy(own, j) > hot ? Number.POSITIVE_INFINITY : (own.wayMs[j] as number) + expectedWaitMs(own, j),
        );
        return cold >= 0 ? cold : argmin(truth.workers.length, (j) => occupancy(own, j));
      },
    };
  },
};

const HOT_QUANTILE = 0.84;

/** Round trip + `weight` × wait, known everywhere at once. */
function greedy(weight: number): Policy {
  return { name: `oracle-wait-${weight}`, begin: (sight) => byTruth(sight, weight, new Float64Array(sight.regions)) };
}

/** Prices as we make them, but known everywhere at once, and the wait too. */
const pricedByTruth: Policy = {
  name: 'oracle-price',
  begin: (sight) => byTruth(sight, 4, sight.truth.priceMs),
};

function byTruth({ truth, roundTripMs }: Sight, weight: number, priceMs: Float64Array) {
  const rows = roundTripMs.map((wayMs) => ({ ...truth, wayMs, priceMs }));
  return { place: (origin: number) => cheapest(rows[origin] as Beliefs, everywhere, weight) };
}

export const ORACLES: readonly Policy[] = [
  greedy(1),
  greedy(4),
  greedy(10),
  pricedByTruth,
  { name: 'oracle-clairvoyant', begin: (sight) => new Clairvoyant(sight) },
];

export const PEERS: readonly Policy[] = [
  nearest,
  roundRobin,
  leastOutstanding,
  powerOfTwo,
  { name: 'zone-aware', begin: (sight: Sight, random: Random) => new ZoneAware(sight, random) },
  prequal,
  { name: 'split-10s', begin: (sight: Sight, random: Random) => new PlanSplit(sight, random, 10_000) },
  { name: 'split-1s', begin: (sight: Sight, random: Random) => new PlanSplit(sight, random, 1_000) },
];

/** The splits, by what demand is forecast to be and not by what it was. */
const FORECASTS: readonly Policy[] = [
  { name: 'split-10s-forecast', begin: (sight, random) => new PlanSplit(sight, random, 10_000, true) },
  { name: 'split-1s-forecast', begin: (sight, random) => new PlanSplit(sight, random, 1_000, true) },
];

export const POLICIES: readonly Policy[] = [priced, pricedAlike, ...PEERS, ...FORECASTS, ...ORACLES];

function occupancy({ outstanding, unseen, workers }: Beliefs, region: number): number {
  return ((outstanding[region] as number) + (unseen[region] as number) + 1) / Math.max(workers[region] as number, 0.01);
}

/** The first of the least; −1 when all are infinite. */
function argmin(count: number, cost: (index: number) => number): number {
  let [best, least] = [-1, Number.POSITIVE_INFINITY];
  for (let index = 0; index < count; index++) {
    const each = cost(index);
    if (each < least) [best, least] = [index, each];
  }
  return best;
}
