import type { Head } from './protocol.ts';
import type { RegionState } from './region-state.ts';

/** Heads of this region: at intervals all others are told what it has, unless it is removed. */
export class Heartbeat {
  readonly #state: RegionState;
  readonly #intervalMs: number;
  #dueMs: number;
  #heads = 0;

  constructor(state: RegionState, intervalMs: number) {
    this.#state = state;
    this.#intervalMs = intervalMs;
    this.#dueMs = state.now.monotonicMs;
  }

  hasten(): void {
    this.#dueMs = this.#state.now.monotonicMs;
  }

  beatIfDue(): void {
    const { now } = this.#state;
    if (now.monotonicMs < this.#dueMs) return;
    this.#dueMs = now.monotonicMs + this.#intervalMs;
    if (!this.#state.isRemoved) this.#state.outputs.push({ kind: 'head', head: this.#next() });
  }

  #next(): Head {
    const { now, liveVector, life, clock, meta, view, isRecovering, peers, sentAtMs } = this.#state;
    return {
      vector: liveVector,
      life,
      actor: clock.lineage.actor,
      sequence: ++this.#heads,
      generation: meta.generation,
      sentAtMs,
      digest: view.digest,
      isRecovering,
      knownUntilMs: peers.knownUntilMs(now.wallMs),
      rounds: peers.rounds,
      lastFetchAtMs: peers.lastFetchAtMs,
      conflicts: view.conflicts,
    };
  }
}
