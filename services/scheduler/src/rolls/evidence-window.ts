import { type Evidence, NO_EVIDENCE } from '@meridian/replica';

/** Last tasks that are remembered of each model. More smooths more, and shows a change later. */
export const WINDOW_TASKS_MAX = 512;
/** Models that are remembered; the one that ended no task for longest is forgotten. */
export const WINDOW_MODELS_MAX = 64;
const PERCENTILE = 0.95;

/** How one task ended, as far as it says something of its model. */
export interface Sample {
  /** Of the model's making. */
  readonly isError: boolean;
  /** Of the worker's inference; no meaning for an error. */
  readonly inferenceMs: number;
  readonly atMs: number;
}

/** How the last tasks of each model version ended. */
export class EvidenceWindow {
  /** By digest; the one that got a sample last is last. */
  readonly #models = new Map<string, Ring>();

  add(digest: string, sample: Sample): void {
    const ring = this.#models.get(digest) ?? new Ring();
    this.#models.delete(digest);
    this.#models.set(digest, ring);
    ring.add(sample);
    const [oldest] = this.#models.keys();
    if (this.#models.size > WINDOW_MODELS_MAX && oldest !== undefined) this.#models.delete(oldest);
  }

  /** Of the samples from `sinceMs` on. */
  of(digest: string, sinceMs = Number.NEGATIVE_INFINITY): Evidence {
    const samples = this.#models.get(digest)?.since(sinceMs) ?? [];
    if (samples.length === 0) return NO_EVIDENCE;
    const times = samples.filter(({ isError }) => !isError).map(({ inferenceMs }) => inferenceMs);
    times.sort((a, b) => a - b);
    const p95Ms = times[Math.ceil(times.length * PERCENTILE) - 1] ?? 0;
    return { tasks: samples.length, errors: samples.length - times.length, p95Ms };
  }
}

class Ring {
  readonly #samples: Sample[] = [];
  #next = 0;

  add(sample: Sample): void {
    this.#samples[this.#next] = sample;
    this.#next = (this.#next + 1) % WINDOW_TASKS_MAX;
  }

  since(ms: number): Sample[] {
    return this.#samples.filter(({ atMs }) => atMs >= ms);
  }
}
