import { type Random, seededRandom } from '@meridian/runtime';
import { CLASSES, type PlanProblem, type PlanSource } from './problem.ts';

export interface Kind {
  readonly regionsMin: number;
  readonly regionsMax: number;
  /** None: no bounds. Equal: bounds, and the same bytes for each worker-second. Mixed: bounds, and any payloads. */
  readonly payloads: 'none' | 'equal' | 'mixed';
}

/** A problem of its own for each seed: residency masks, regions without capacity, and often more demand than there is room. */
export function randomProblem(seed: number, { regionsMin, regionsMax, payloads }: Kind): PlanProblem {
  const random = seededRandom(seed);
  const between = (min: number, max: number) => min + (max - min) * random.next();
  const count = regionsMin + random.int(regionsMax - regionsMin + 1);
  const names = Array.from({ length: count }, (_, i) => `region-${String(i).padStart(3, '0')}`);
  const places = new Map(names.map((name) => [name, [between(0, 100), between(0, 100)] as const]));
  const busy = between(0.3, 1.4);
  const models = ['detector', 'reader', 'classifier'].map((name) => ({ name, cost: between(0.005, 0.2) }));
  const bytesPerCost = between(1e5, 1e7);
  const regions = names.map((name) => ({
    name,
    capacity: random.int(10) === 0 ? 0 : between(1, 40),
    workers: 1 + random.int(32),
    bandwidthMbps: payloads === 'none' || random.int(3) === 0 ? Number.POSITIVE_INFINITY : between(1, 400),
  }));
  const capacity = regions.reduce((sum, region) => sum + region.capacity, 0);
  const sources = Array.from({ length: 2 * count }, (_, i): PlanSource => {
    const model = models[random.int(models.length)] ?? { name: 'detector', cost: 0.03 };
    const load = (busy * capacity * between(0, 2)) / (2 * count);
    const pictureBytes = payloads === 'mixed' ? Math.floor(between(0, 2e6)) : bytesPerCost * model.cost;
    return {
      origin: names[i % count] ?? '',
      model: model.name,
      priority: CLASSES[random.int(CLASSES.length)] ?? 'normal',
      allowed: random.int(4) === 0 ? someOf(names, random) : undefined,
      tasksPerSecond: random.int(20) === 0 ? 0 : load / model.cost,
      taskCost: model.cost,
      pictureBytes,
      ...(payloads === 'mixed' && pictureBytes > 500_000 && random.int(2) === 0 && smaller(random)),
    };
  });
  const way = (origin: string, to: string) => {
    if (origin === to) return { roundTripMs: 2, bandwidthMbps: Number.POSITIVE_INFINITY };
    const [a, b] = [places.get(origin), places.get(to)];
    if (a === undefined || b === undefined) return undefined;
    const bandwidthMbps = payloads === 'mixed' && a[0] + b[0] < 100 ? 40 : 400;
    return { roundTripMs: 4 + Math.hypot(a[0] - b[0], a[1] - b[1]) * 2, bandwidthMbps };
  };
  return { regions, sources, way, variation: between(0, 2), waitPart: between(0.1, 1) };
}

/** On the slower ways of a problem worth their time, on others not. */
function smaller(random: Random): Pick<PlanSource, 'downscaling'> {
  return { downscaling: { bytes: 2 * (1 + random.int(150_000)), takesMs: 30 * random.next() } };
}

/** Sometimes none at all. */
function someOf(names: readonly string[], random: Random): ReadonlySet<string> {
  return new Set(names.filter(() => random.int(3) === 0));
}
