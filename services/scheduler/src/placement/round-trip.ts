/**
 * Round trip of a link from noisy samples. A busy process adds to a sample and nothing takes away from it, so the
 * least of the last few is the link; averaging these smooths what is left.
 */
const SAMPLES = 8;
const WEIGHT = 0.3;

export class RoundTrip {
  readonly #samples: number[] = [];
  #estimateMs: number | undefined;

  add(sampleMs: number): void {
    this.#samples.push(sampleMs);
    if (this.#samples.length > SAMPLES) this.#samples.shift();
    const least = Math.min(...this.#samples);
    this.#estimateMs = this.#estimateMs === undefined ? least : this.#estimateMs + WEIGHT * (least - this.#estimateMs);
  }

  /** undefined before the first sample. */
  get estimateMs(): number | undefined {
    return this.#estimateMs;
  }
}
