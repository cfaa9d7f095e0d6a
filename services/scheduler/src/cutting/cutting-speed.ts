/**
 * How long the cutting process takes for a picture, by its pixels, from what it took: a mean over about the last ten.
 *
 * 1. A picture that was the first of its process also says how long the process took to start: what is beyond the mean of
 *    others.
 * 2. One time counts OUTLIER times the mean at most: a process that was stopped for a second is no large picture.
 */
export class CuttingSpeed {
  #msPerMegapixel: number;
  #startMs = START_MS;

  /** @param msPerMegapixel until measured */
  constructor(msPerMegapixel: number) {
    this.#msPerMegapixel = msPerMegapixel;
  }

  get msPerMegapixel(): number {
    return this.#msPerMegapixel;
  }

  /** Until a process that is started answers to its first picture, beyond the time of a picture. */
  get startMs(): number {
    return this.#startMs;
  }

  expectedMs(pixels: number): number {
    return (this.#msPerMegapixel * pixels) / 1e6;
  }

  /** @param pixels of the picture; of tiny ones the time says nothing of pixels */
  took(pixels: number, ms: number, isFirst: boolean): void {
    if (isFirst) this.#startMs += WEIGHT * (Math.max(0, ms - this.expectedMs(pixels)) - this.#startMs);
    else if (pixels >= PIXELS_MIN) {
      const counted = Math.min(ms / (pixels / 1e6), OUTLIER * this.#msPerMegapixel);
      this.#msPerMegapixel += WEIGHT * (counted - this.#msPerMegapixel);
    }
  }
}

const WEIGHT = 0.1;
const PIXELS_MIN = 250_000;
const OUTLIER = 8;
/** Of Node and sharp together, on an ordinary machine. */
const START_MS = 300;
