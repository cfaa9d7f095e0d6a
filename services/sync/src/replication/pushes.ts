import type { VersionVector } from '@meridian/causality';
import { livesListedIn } from '@meridian/replica';
import type { Judgement } from './judgement.ts';
import type { Merging } from './merging.ts';
import type { Head } from './protocol.ts';
import type { RegionState } from './region-state.ts';
import type { DeltaWork } from './work-queue.ts';

/** A head may overtake the delta of what it tells. */
const DELTA_GRACE_MS = 300;

/** What peers send unasked: deltas, which are merged when nothing before them is missing, and heads. */
export class Pushes {
  readonly #state: RegionState;
  readonly #judgement: Judgement;
  readonly #merging: Merging;

  constructor(state: RegionState, judgement: Judgement, merging: Merging) {
    this.#state = state;
    this.#judgement = judgement;
    this.#merging = merging;
  }

  takeDelta(work: DeltaWork): void {
    // What travels among members means less to a region that is none: it waits to be added again.
    if (this.#state.isRemoved || !this.#judgement.hears(work.origin, work.delta.generation)) return;
    if (!this.#state.queue.push(work)) this.#gap(work.origin);
  }

  takeHead(origin: string, sent: Head): void {
    if (this.#state.isRemoved || !this.#judgement.hears(origin, sent.generation)) return;
    const { ended, peers, view, now, vector } = this.#state;
    const head = { ...sent, vector: ended.inward(sent.vector) };
    this.#judgement.observe(head.vector, origin);
    const heard = peers.hear(origin, head, now);
    if (heard === 'cloned') this.#state.alarm('CLONED', origin, `the lives ${head.life} and another one speak in turn`);
    if (heard === 'old') return;
    peers.reached(vector);
    const order = vector.compare(head.vector);
    if (order === 'before' || order === 'concurrent') {
      // What a delta brings in the next moments need not be asked for.
      if (this.#clockToCome().dominates(head.vector)) return;
      peers.scheduleOf(origin)?.hasten(now.monotonicMs + DELTA_GRACE_MS);
    } else if (order === 'equal' && peers.disagrees(origin, view.digest)) {
      this.#state.alarm('DIGEST_DIFFERS', origin, `${view.digest} here, ${head.digest} there`);
      peers.scheduleOf(origin)?.repair(now.monotonicMs);
    }
  }

  decideDelta({ origin, delta, cause }: DeltaWork): void {
    const { ended, clock } = this.#state;
    const from = ended.inward(delta.from);
    const to = ended.inward(delta.to);
    this.#judgement.observe(to, origin);
    const after = clock.afterDelta(origin, { from, to });
    // A list means the lives that it names: who takes it in by a delta must have them.
    const hasLives = delta.entries.every((entry) => clock.vector.dominates(livesListedIn(entry)));
    const isReadable = hasLives && clock.vector.dominates(delta.lists);
    if (after === 'gap' || !isReadable || !this.#judgement.isJoinable(origin, after.vector)) this.#gap(origin);
    // A sound clock contains only what was applied: nothing of this delta can be new.
    else if (after === clock) this.#state.report('delta-known', origin);
    else {
      this.#state.report('delta-applied', origin);
      const applied = after.vector;
      const { forgotten } = delta;
      const merge = { kind: 'merge', peer: origin, applied, nextKey: undefined, isRepair: false, forgotten } as const;
      this.#merging.merge(merge, delta.entries, cause);
    }
  }

  /** When everything that waits here has been applied. */
  #clockToCome(): VersionVector {
    const { ended, commit, queue } = this.#state;
    let { clock } = this.#state;
    if (commit?.origin.kind === 'merge') clock = clock.joined(commit.origin.applied);
    for (const { origin, delta } of queue.deltas()) {
      const after = clock.afterDelta(origin, { from: ended.inward(delta.from), to: ended.inward(delta.to) });
      if (after !== 'gap') clock = after;
    }
    return clock.vector;
  }

  #gap(origin: string): void {
    this.#state.report('gap', origin);
    this.#state.peers.scheduleOf(origin)?.hasten(this.#state.now.monotonicMs);
  }
}
