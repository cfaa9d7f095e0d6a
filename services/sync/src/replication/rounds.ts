import type { Judgement } from './judgement.ts';
import type { Merging } from './merging.ts';
import { absentIn } from './plan-merge.ts';
import { KEYS_ASKED_MAX } from './protocol.ts';
import type { RegionState } from './region-state.ts';
import type { PageWork } from './work-queue.ts';

/** What this region asks of its peers: rounds of pages when they are due, and single keys that somebody waits for. */
export class Rounds {
  readonly #state: RegionState;
  readonly #judgement: Judgement;
  readonly #merging: Merging;

  constructor(state: RegionState, judgement: Judgement, merging: Merging) {
    this.#state = state;
    this.#judgement = judgement;
    this.#merging = merging;
  }

  startDue(): void {
    const { peers, now, vector } = this.#state;
    for (const schedule of peers.schedules()) {
      const request = schedule.start(now.monotonicMs, vector);
      if (request === undefined) continue;
      this.#state.report('fetch-started', schedule.peer);
      this.#state.ask(schedule.peer, request);
    }
  }

  takeWant(peer: string, keys: readonly string[]): void {
    const { peers, now, vector } = this.#state;
    const schedule = peers.scheduleOf(peer);
    if (schedule === undefined) return;
    if (keys.length === 0) schedule.hasten(now.monotonicMs);
    else this.#state.ask(peer, schedule.requestKeys(vector, keys.slice(0, KEYS_ASKED_MAX)));
  }

  takePage(work: PageWork): void {
    const { peers, queue, ended, now } = this.#state;
    const { peer, request, answer, intervalMs } = work;
    const schedule = peers.scheduleOf(peer);
    if (intervalMs !== undefined) schedule?.pace(intervalMs);
    const isHeard = answer.isRefused || this.#judgement.hears(peer, answer.generation);
    if (schedule === undefined || !isHeard) this.failed(peer);
    else if (request.keys.length > 0) queue.push(work);
    else if (!schedule.isUnderWay) return;
    else if (answer.isRefused) {
      schedule.refused(now.monotonicMs);
      this.#state.report('fetch-failed', peer);
      queue.push(work);
    } else if (schedule.accepts(request, { ...answer, vector: ended.inward(answer.vector) })) queue.push(work);
    else this.failed(peer);
  }

  decidePage({ peer, request, answer, cause }: PageWork): void {
    const { peers, ended, view, vector: before } = this.#state;
    const schedule = peers.scheduleOf(peer);
    const vector = ended.inward(answer.vector);
    const { collected } = answer;
    const none = { applied: before, nextKey: undefined, isRepair: false };
    const base = { kind: 'merge', peer, ...none, forgotten: collected } as const;
    if (answer.isRefused || request.keys.length > 0) {
      this.#merging.merge(base, answer.entries, cause);
      return;
    }
    if (schedule?.isUnderWay !== true) return;
    this.#judgement.observe(vector, peer);
    this.#state.heardActors.set(peer, answer.heardActors);
    const range = { afterKey: request.afterKey, untilKey: answer.nextKey };
    const absent = answer.isWholeRange ? absentIn(view, range, answer.entries, vector) : [];
    const first = answer.nextKey === '' ? schedule.completeVector : undefined;
    const applied = first === undefined ? before : before.merge(first);
    const { isRepair } = schedule;
    const isLast = answer.nextKey === '' && this.#judgement.isJoinable(peer, applied);
    const given = { nextKey: answer.nextKey, isRepair, isFromRecovering: answer.isRecovering };
    const taken = answer.isWholeRange ? { collected } : {};
    const merge = { ...base, ...given, ...taken, applied: isLast ? applied : before };
    this.#merging.merge(merge, [...answer.entries, ...absent], cause);
  }

  failed(peer: string): void {
    this.#state.peers.scheduleOf(peer)?.failed(this.#state.now.monotonicMs);
    this.#state.report('fetch-failed', peer);
  }
}
