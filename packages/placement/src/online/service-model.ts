/**
 * How long a model works on one picture, by the size of the picture: a + b × size, learnt from what tasks took.
 *
 * 1. Least squares over what was seen of late: an observation counts a third MEMORY observations later.
 * 2. a and b are never negative: a larger picture never takes less, and none takes less than nothing.
 * 3. One observation counts OUTLIER times what was expected at most: a worker that slept for a minute is no long picture.
 * 4. Until sizes differ enough to tell anything by them, and for a size far above all of them, what is expected is bounded by
 *    the mean: between a part of it and OUTLIER times it.
 *
 * The size may be any measure that grows with the work: pixels, or bytes of one format.
 */
export class ServiceModel {
  #weight = 0;
  #size = 0;
  #tookMs = 0;
  #sizeVariance = 0;
  #covariance = 0;

  /** @returns undefined before anything was seen, else ms ≥ 0 */
  expectedMs(size: number): number | undefined {
    if (this.#weight === 0) return undefined;
    const slope = this.#slope();
    return clamp(this.#tookMs + slope * (size - this.#size), 0, OUTLIER * this.#tookMs);
  }

  /** @param size ≥ 0 @param tookMs ≥ 0; anything else changes nothing */
  observe(size: number, tookMs: number): void {
    if (!(size >= 0 && size <= PICTURE_MAX && tookMs >= 0 && tookMs <= TOOK_MAX_MS)) return;
    const expectedMs = this.#weight >= SEEN_MIN ? (this.expectedMs(size) ?? tookMs) : tookMs;
    const countedMs = Math.min(tookMs, OUTLIER * Math.max(expectedMs, this.#tookMs / OUTLIER));
    this.#weight = KEPT * this.#weight + 1;
    const part = 1 / this.#weight;
    const [offSize, offMs] = [size - this.#size, countedMs - this.#tookMs];
    this.#size += part * offSize;
    this.#tookMs += part * offMs;
    this.#sizeVariance = (1 - part) * (this.#sizeVariance + part * offSize * offSize);
    this.#covariance = (1 - part) * (this.#covariance + part * offSize * offMs);
  }

  #slope(): number {
    const flat = this.#weight < SEEN_MIN || this.#sizeVariance <= (SPREAD_MIN * this.#size) ** 2;
    if (flat) return 0;
    return clamp(this.#covariance / this.#sizeVariance, 0, this.#tookMs / this.#size);
  }
}

const MEMORY = 1_000;
const KEPT = 1 - 1 / MEMORY;
/** Before that many, the mean is all that is known. */
const SEEN_MIN = 20;
/** Standard deviation of sizes ÷ their mean below which a slope would be chance. */
const SPREAD_MIN = 0.05;
const OUTLIER = 8;
const PICTURE_MAX = 1e12;
const TOOK_MAX_MS = 1e6;

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
