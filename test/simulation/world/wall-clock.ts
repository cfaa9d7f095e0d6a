/** 1 January 2027. */
const EPOCH_MS = 1_798_761_600_000;
/** How long a decision that was made before a jump back may still be on its way. */
const MEMORY_MS = 20_000;

/** A region's wall clock: wrong by an offset, and it may jump. */
export class WallClock {
  #offsetMs: number;
  #highestMs = 0;
  #previous: { readonly offsetMs: number; readonly untilMs: number } | undefined;

  constructor(offsetMs: number) {
    this.#offsetMs = offsetMs;
  }

  wallMs(nowMs: number): number {
    const wallMs = EPOCH_MS + this.#offsetMs + Math.floor(nowMs);
    if (wallMs > this.#highestMs) this.#highestMs = wallMs;
    return wallMs;
  }

  /** What it showed at most, ever. */
  highestMs(nowMs: number): number {
    return Math.max(this.#highestMs, this.wallMs(nowMs));
  }

  /** What it showed at most a short while ago. */
  recentMs(nowMs: number): number {
    const wallMs = this.wallMs(nowMs);
    if (this.#previous === undefined || this.#previous.untilMs < nowMs) return wallMs;
    return Math.max(wallMs, EPOCH_MS + this.#previous.offsetMs + Math.floor(nowMs));
  }

  /** The clock of a copy: it shows the same now, and what the copied disk holds may be as late as this one ever showed. */
  copy(nowMs: number): WallClock {
    const copy = new WallClock(this.#offsetMs);
    copy.#highestMs = this.highestMs(nowMs);
    copy.#previous = this.#previous;
    return copy;
  }

  jump(byMs: number, nowMs: number): void {
    this.wallMs(nowMs);
    const offsetMs = Math.max(this.#offsetMs, this.#recentOffset(nowMs));
    this.#previous = { offsetMs, untilMs: nowMs + MEMORY_MS };
    this.#offsetMs += byMs;
  }

  /** Shows this from now on. */
  set(wallMs: number, nowMs: number): void {
    this.jump(wallMs - this.wallMs(nowMs), nowMs);
  }

  #recentOffset(nowMs: number): number {
    return this.#previous !== undefined && this.#previous.untilMs >= nowMs ? this.#previous.offsetMs : this.#offsetMs;
  }
}
