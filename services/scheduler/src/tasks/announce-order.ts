interface Latest {
  /** Placement time of the latest placed claim that was announced. */
  nowMs: number;
  /** The same, at the last turn and at the one before. */
  lastTurnMs: number;
  settledMs: number;
}

/**
 * Finds claims that a worker took and never announced. A queue gives out its claims in order, so once a claim that was
 * placed later has been announced for a while, an earlier one without a word is lost with the worker that took it.
 *
 * One queue is one region, class and model. Time is cut into turns of `graceMs`; what was announced before the last whole
 * turn is settled, so that a loss shows after `graceMs` to 2 · `graceMs`, never earlier.
 */
export class AnnounceOrder {
  readonly #graceMs: number;
  readonly #queues = new Map<string, Latest>();
  #turnedMs = 0;

  constructor(graceMs: number) {
    this.#graceMs = graceMs;
  }

  announced(queue: string, placedMs: number): void {
    const known = this.#queues.get(queue);
    if (known === undefined) this.#queues.set(queue, { nowMs: placedMs, lastTurnMs: 0, settledMs: 0 });
    else known.nowMs = Math.max(known.nowMs, placedMs);
  }

  /** A later claim of the queue was announced at least `graceMs` ago. */
  overtaken(queue: string, placedMs: number): boolean {
    return placedMs < (this.#queues.get(queue)?.settledMs ?? 0);
  }

  tick(nowMs: number): void {
    if (nowMs - this.#turnedMs < this.#graceMs) return;
    this.#turnedMs = nowMs;
    for (const [queue, latest] of this.#queues) {
      // A claim that an idle queue has overtaken was found by now.
      if (latest.settledMs === latest.nowMs) this.#queues.delete(queue);
      latest.settledMs = latest.lastTurnMs;
      latest.lastTurnMs = latest.nowMs;
    }
  }
}
