import { type Dot, VersionVector } from '@meridian/causality';
import { memberKey } from '@meridian/replica';
import { FETCH_BYTES_MAX } from './fetch-schedule.ts';
import type { Judgement } from './judgement.ts';
import { type FetchAnswer, type FetchRequest, KEYS_ASKED_MAX } from './protocol.ts';
import type { RegionState } from './region-state.ts';

/** What peers ask of this region, and its answers. Who is no member learns that, and no more. */
export class Questions {
  readonly #state: RegionState;
  readonly #judgement: Judgement;

  constructor(state: RegionState, judgement: Judgement) {
    this.#state = state;
    this.#judgement = judgement;
  }

  take(id: number, request: FetchRequest): void {
    const { ended, peers, vector, now, outputs } = this.#state;
    const { region } = request;
    const refusal = this.#refusalOf(request);
    if (refusal !== undefined) {
      outputs.push({ kind: 'answer', id, answer: refusal });
      return;
    }
    const seen = ended.inward(request.vector);
    this.#judgement.observe(seen, region);
    const schedule = peers.scheduleOf(region);
    // The asker is there, and may have what we lack: no need to wait for our next round.
    const isOfUse = schedule?.isSilent === true || !vector.dominates(seen);
    if (isOfUse && schedule?.isUnderWay === false) schedule.hasten(now.monotonicMs);
    outputs.push({ kind: 'answer', id, answer: this.#answerTo(request, seen) });
  }

  #answerTo(request: FetchRequest, seen: VersionVector): FetchAnswer {
    const { view, ended, collected, peers, now } = this.#state;
    const { keys, afterKey, isRepair } = request;
    const bytesMax = Math.min(request.bytesMax, FETCH_BYTES_MAX);
    const isWholeRange = keys.length === 0 && !seen.dominates(collected);
    const page =
      keys.length > 0
        ? {
            entries: keys
              .slice(0, KEYS_ASKED_MAX)
              .map((key) => view.get(key))
              .filter((e) => e !== undefined),
            nextKey: '',
          }
        : view.missingFrom(isWholeRange || isRepair ? undefined : seen, afterKey, bytesMax);
    const knows = (dot: Dot) => seen.contains(dot);
    const vector = ended.outwardTo(this.#state.vector, knows);
    const entries = page.entries.map((entry) => this.#state.outwardEntry(entry, knows));
    const heardActors = peers.actorsHeard(request.region, now.monotonicMs);
    const answer = { ...this.#blankAnswer(), ...page, vector, entries, isWholeRange, collected, heardActors };
    return answer;
  }

  #refusalOf({ region, generation, isAway }: FetchRequest): FetchAnswer | undefined {
    const { membership, view, ended } = this.#state;
    if (membership.hears(region, generation)) return undefined;
    const isNews = !isAway || membership.stateOf(region) === 'active';
    if (!isAway) this.#state.alarm('NOT_A_MEMBER', region, `asks under generation ${generation}`);
    const entry = isNews ? view.get(memberKey(region)) : undefined;
    const nothing = () => false;
    const vector = ended.outwardTo(this.#state.vector, nothing);
    const entries = entry === undefined ? [] : [this.#state.outwardEntry(entry, nothing)];
    return { ...this.#blankAnswer(), vector, entries, isRefused: true };
  }

  #blankAnswer(): FetchAnswer {
    const { meta, isRecovering, liveVector, sentAtMs } = this.#state;
    const flags = { isWholeRange: false, isRefused: false, isRecovering };
    return {
      generation: meta.generation,
      entries: [],
      vector: liveVector,
      nextKey: '',
      ...flags,
      collected: VersionVector.EMPTY,
      heardActors: [],
      sentAtMs,
    };
  }
}
