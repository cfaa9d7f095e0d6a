import type { Ending, Task } from '../tasks/task.ts';

interface Moments {
  samples: number;
  mean: number;
  square: number;
}

export interface Variation {
  /** Squared coefficient of variation: 0 all equal, 1 as of an exponential distribution. */
  readonly variation: number;
  readonly samples: number;
}

/** Of a new processing time, once there are many: about the last forty count. */
const WEIGHT = 0.05;
/** Fewer say nothing of how times vary. */
const SAMPLES_MIN = 20;
/** Models in regions. */
const KEPT_MAX = 512;

/** How much the processing times of this owner's tasks vary, by region and model. What waits depends on it. */
export class ServiceVariations {
  readonly #moments = new Map<string, Moments>();

  ended({ work }: Pick<Task, 'work'>, { how, region, times }: Ending): void {
    const tookMs = times.decodeMs + times.inferenceMs;
    if (how !== 'committed' || tookMs <= 0) return;
    const key = `${region} ${work.modelDigest}`;
    let moments = this.#moments.get(key);
    if (moments === undefined) {
      if (this.#moments.size >= KEPT_MAX) return;
      moments = { samples: 0, mean: 0, square: 0 };
      this.#moments.set(key, moments);
    }
    moments.samples++;
    const weight = Math.max(1 / moments.samples, WEIGHT);
    moments.mean += weight * (tookMs - moments.mean);
    moments.square += weight * (tookMs * tookMs - moments.square);
  }

  /** undefined until there are enough. */
  of(region: string, modelDigest: string): Variation | undefined {
    const { samples = 0, mean = 0, square = 0 } = this.#moments.get(`${region} ${modelDigest}`) ?? {};
    if (samples < SAMPLES_MIN) return undefined;
    return { variation: Math.max(0, square / (mean * mean) - 1), samples };
  }
}
