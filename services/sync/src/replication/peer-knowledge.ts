import type { ActorId, VersionVector } from '@meridian/causality';
import type { Head } from './protocol.ts';

/** Heads of one peer that the region has not caught up with yet; the oldest and the newest are kept. */
const HEADS_WAITING_MAX = 64;

interface Awaited {
  readonly vector: VersionVector;
  readonly sentAtMs: number;
}

/** One process of the peer, with its last number; times by the monotonic clock. */
interface Life {
  readonly sequence: number;
  readonly actor: ActorId | undefined;
  readonly firstMs: number;
  readonly lastMs: number;
}

export type Heard = 'new' | 'old' | 'cloned';

/**
 * What one region knows of another from its heartbeats and answers.
 *
 * 1. The last head counts that was heard; a late one of the same life is passed over.
 * 2. `knownUntilMs` is the send time of the newest message of the peer of which everything is here.
 * 3. Two lives that go on beside each other are two processes: a clone.
 */
export class PeerKnowledge {
  #head: Head | undefined;
  #timesCaughtUp = 0;
  #heardAtMs = 0;
  #heardMonotonicMs = Number.NEGATIVE_INFINITY;
  /** Heard longest ago first. */
  readonly #lives = new Map<string, Life>();
  readonly #rivals = new Set<string>();
  #awaited: Awaited[] = [];
  #knownUntilMs = 0;
  #isFresh = false;

  get head(): Head | undefined {
    return this.#head;
  }

  /** How many messages of the peer there were of which everything came here. */
  get timesCaughtUp(): number {
    return this.#timesCaughtUp;
  }

  /** By the wall clock here; 0 for never. */
  get heardAtMs(): number {
    return this.#heardAtMs;
  }

  silentForMs(monotonicMs: number): number {
    return monotonicMs - this.#heardMonotonicMs;
  }

  /** 0 while not known. */
  get knownUntilMs(): number {
    return this.#knownUntilMs;
  }

  hear(head: Head, now: { readonly wallMs: number; readonly monotonicMs: number }): Heard {
    this.#heardAtMs = now.wallMs;
    this.#heardMonotonicMs = now.monotonicMs;
    const { life, sequence, actor } = head;
    const known = this.#lives.get(life);
    if (sequence <= (known?.sequence ?? 0)) return 'old';
    const firstMs = known?.firstMs ?? now.monotonicMs;
    this.#lives.delete(life);
    this.#lives.set(life, { sequence, actor, firstMs, lastMs: now.monotonicMs });
    const [oldest] = this.#lives.keys();
    if (this.#lives.size > LIVES_MAX && oldest !== undefined) this.#lives.delete(oldest);
    this.#head = head;
    this.await(head.vector, head.sentAtMs);
    return this.#hasRival(life, firstMs) ? 'cloned' : 'new';
  }

  /** Whether another life was heard for longer, at the same time, than late heads explain. Each pair is told of once. */
  #hasRival(life: string, firstMs: number): boolean {
    for (const [other, { firstMs: otherFirstMs, lastMs }] of this.#lives) {
      const pair = life < other ? `${life} ${other}` : `${other} ${life}`;
      if (other === life || lastMs - Math.max(firstMs, otherFirstMs) <= LATE_HEAD_MS || this.#rivals.has(pair))
        continue;
      if (this.#rivals.size < LIVES_MAX) this.#rivals.add(pair);
      return true;
    }
    return false;
  }

  /** As whom its processes write that were heard lately. */
  actorsHeard(nowMs: number): readonly ActorId[] {
    const heard = [...this.#lives.values()].filter(({ lastMs }) => nowMs - lastMs <= HEARD_LATELY_MS);
    return heard.map(({ actor }) => actor).filter((actor) => actor !== undefined);
  }

  /** A complete fetch, or a head, was sent then, and shows this. */
  await(vector: VersionVector, sentAtMs: number): void {
    if (this.#awaited.length >= HEADS_WAITING_MAX) this.#awaited.splice(HEADS_WAITING_MAX - 1, 1);
    this.#awaited.push({ vector, sentAtMs });
  }

  /** The region has seen `vector` now. */
  reached(vector: VersionVector): void {
    if (this.#awaited.length === 0) return;
    this.#awaited = this.#awaited.filter((awaited) => {
      if (!vector.dominates(awaited.vector)) return true;
      this.#knownUntilMs = Math.max(this.#knownUntilMs, awaited.sentAtMs);
      if (awaited.sentAtMs > 0) this.#isFresh = true;
      this.#timesCaughtUp++;
      return false;
    });
  }

  get isFresh(): boolean {
    return this.#isFresh;
  }

  /** A round ends: the next one waits for something newer. */
  endRound(): void {
    this.#isFresh = false;
  }
}

/** A head of an ended life may be on its way for so long. Longer notices a clone later, shorter takes late ones for it. */
const LATE_HEAD_MS = 20_000;
/** A process that is not heard for longer is over, or cut off. */
export const HEARD_LATELY_MS = 30_000;
export const LIVES_MAX = 16;
