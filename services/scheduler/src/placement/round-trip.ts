/**
 * Round trip of a link from noisy samples. A busy process adds to a sample and nothing takes away from it, so the
 * least of the last few is the link; averaging these smooths what is left. A step is followed at once: up when the last
 * SAMPLES agree on it, down with the first.
 */
const SAMPLES = 6;
const WEIGHT = 0.3;
/** The least of the last few differs from the estimate by more than this part, and by more than STEP_MIN_MS: a step. */
const STEP_SHARE = 0.2;
const STEP_MIN_MS = 5;

export class RoundTrip {
  readonly #samples: number[] = [];
  #estimateMs: number | undefined;

  add(sampleMs: number): void {
    this.#samples.push(sampleMs);
    if (this.#samples.length > SAMPLES) this.#samples.shift();
    const least = Math.min(...this.#samples);
    const estimate = this.#estimateMs ?? least;
    const isStep = Math.abs(least - estimate) > Math.max(STEP_MIN_MS, STEP_SHARE * estimate);
    this.#estimateMs = isStep ? least : estimate + WEIGHT * (least - estimate);
  }

  /** undefined before the first sample. */
  get estimateMs(): number | undefined {
    return this.#estimateMs;
  }
}
