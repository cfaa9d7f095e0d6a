import { ServiceModel } from './service-model.ts';

/**
 * How much a task asks for beside a usual one: 1 is usual. A price is for a usual task, so that one that works twice as long
 * pays twice: what is scarce is a worker's time. So of two tasks at a full region, the long one goes where there is room, and
 * the short ones, which would gain less by it, are spared the way.
 *
 * 1. What a model takes is learnt from all regions together: their speeds do not matter, only the part beside the usual task.
 * 2. Usual is the mean of what was expected of the last placements, each counting a third USUAL_MEMORY placements later.
 * 3. A size is between 0 and SIZE_MAX; a task of which nothing is known is usual.
 * 4. At most MODELS_MAX models are remembered; the one that was learnt first makes room.
 */
export class TaskSizes {
  readonly #models = new Map<string, ServiceModel>();
  #usualMs = 0;
  #placements = 0;

  /**
   * The size of a task that is about to be placed. Changes nothing.
   * @param pictureSize what {@link learn} was told of others: bytes, or pixels
   */
  of(model: string, pictureSize: number): number {
    const expectedMs = this.#models.get(model)?.expectedMs(pictureSize);
    if (expectedMs === undefined || this.#usualMs <= 0) return 1;
    return Math.min(expectedMs / this.#usualMs, SIZE_MAX);
  }

  /** One more task was placed: it counts for what is usual. */
  placed(model: string, pictureSize: number): void {
    const expectedMs = this.#models.get(model)?.expectedMs(pictureSize);
    if (expectedMs === undefined) return;
    this.#placements = Math.min(this.#placements + 1, USUAL_MEMORY);
    this.#usualMs += (expectedMs - this.#usualMs) / this.#placements;
  }

  /** @param tookMs from bytes to result, in a worker */
  learn(model: string, pictureSize: number, tookMs: number): void {
    let known = this.#models.get(model);
    if (known === undefined) {
      const [first] = this.#models.keys();
      if (this.#models.size === MODELS_MAX && first !== undefined) this.#models.delete(first);
      known = new ServiceModel();
      this.#models.set(model, known);
    }
    known.observe(pictureSize, tookMs);
  }
}

const USUAL_MEMORY = 1_000;
/** A longer task pays no more: its price must not drive it round the world. */
const SIZE_MAX = 3;
const MODELS_MAX = 64;
