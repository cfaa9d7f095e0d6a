/** Counts the tasks of each origin and gives their rate over the last whole window. */
export class DemandMeter {
  readonly #windowMs: number;
  readonly #counts: Float64Array;
  readonly #perSecond: Float64Array;
  #untilMs: number;

  constructor(origins: number, windowMs: number) {
    this.#windowMs = windowMs;
    this.#counts = new Float64Array(origins);
    this.#perSecond = new Float64Array(origins);
    this.#untilMs = windowMs;
  }

  get perSecond(): Float64Array {
    return this.#perSecond;
  }

  /** @returns whether a window has ended since the last call. */
  count(origin: number, nowMs: number): boolean {
    const ended = nowMs >= this.#untilMs;
    if (ended) {
      for (let i = 0; i < this.#counts.length; i++)
        this.#perSecond[i] = ((this.#counts[i] as number) * 1_000) / this.#windowMs;
      this.#counts.fill(0);
      this.#untilMs = nowMs + this.#windowMs;
    }
    this.#counts[origin] = (this.#counts[origin] as number) + 1;
    return ended;
  }
}
