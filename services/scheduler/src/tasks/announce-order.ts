/**
 * Finds claims that a worker took and never announced. A queue gives out its claims in order, so once a claim that was
 * placed later has been announced for a while, an earlier one without a word is lost with the worker that took it.
 *
 * One queue is one region, class and model. Keeps two times per queue; `graceMs` to 2 · `graceMs` pass until a loss shows.
 */
export class AnnounceOrder {
  readonly #graceMs: number;
  readonly #queues = new Map<string, { latestMs: number; settledMs: number }>();
  #sinceMs = 0;

  constructor(graceMs: number) {
    this.#graceMs = graceMs;
  }

  announced(queue: string, placedMs: number): void {
    const known = this.#queues.get(queue);
    if (known === undefined) this.#queues.set(queue, { latestMs: placedMs, settledMs: 0 });
    else known.latestMs = Math.max(known.latestMs, placedMs);
  }

  /** A later claim of the queue was announced at least `graceMs` ago. */
  overtaken(queue: string, placedMs: number): boolean {
    return placedMs < (this.#queues.get(queue)?.settledMs ?? 0);
  }

  tick(nowMs: number): void {
    if (nowMs - this.#sinceMs < this.#graceMs) return;
    this.#sinceMs = nowMs;
    for (const [queue, times] of this.#queues) {
      if (times.settledMs === times.latestMs) this.#queues.delete(queue);
      else times.settledMs = times.latestMs;
    }
  }
}
