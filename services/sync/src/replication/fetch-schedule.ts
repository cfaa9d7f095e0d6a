import type { VersionVector } from '@meridian/causality';
import { backoffMs, type Random } from '@meridian/runtime';
import type { FetchAnswer, FetchRequest } from './protocol.ts';

/** Of one page, at most: it travels in one message. */
export const FETCH_BYTES_MAX = 512 * 1024;
/** A peer that does not answer is asked again soon: that is how its return is noticed. */
const RETRY = { initialMs: 250, maxMs: 2_000 };
/** A round that had to leave something out is not repeated at once, whatever asks for it. */
const TAINTED_WAIT_MS = 1_000;

export interface FetchScheduleOptions {
  readonly region: string;
  readonly peer: string;
  /** Between complete rounds, until {@link FetchSchedule.pace} says otherwise. */
  readonly intervalMs: number;
  /** Of one page. */
  readonly bytesMax: number;
  readonly random: Random;
  /** Of the asker's membership. */
  readonly generation: number;
}

/** One round: pages of what was missing when it began. */
interface Round {
  readonly startVector: VersionVector;
  /** The peer's clock at the first page: later pages show what was there then, or newer. */
  firstVector: VersionVector | undefined;
  /** When it was sent. */
  firstSentAtMs: number;
  afterKey: string;
  isTainted: boolean;
  /** A page came from a peer that has seen less than the one of the first page: all of it together is nobody's state. */
  isBroken: boolean;
  readonly isRepair: boolean;
  /** All pages so far were whole ranges. */
  isWhole: boolean;
}

/**
 * When to ask one peer for what is missing, and how far the round is.
 *
 * 1. One request at a time; the next page is asked for when the last has been applied.
 * 2. Only a complete round without anything left out yields the peer's vector, and that is the one of its first page:
 *    a key of an early page may have changed by the time of a later one.
 *    So nothing that the peer forgot in between can be taken for seen.
 * 3. A page that does not go on ends the round as failed. One whose clock went back (the peer restarted from less, or two
 *    processes answer in turn) does so once all pages are in: what they have is taken over, each for itself.
 */
export class FetchSchedule {
  readonly peer: string;
  readonly #options: FetchScheduleOptions;
  #intervalMs: number;
  #round: Round | undefined;
  #dueMs = 0;
  #isDueAgain = false;
  #failures = 0;
  #waitsUntilMs = 0;
  #repairs = false;
  #completedAtMs = 0;

  constructor(options: FetchScheduleOptions) {
    this.peer = options.peer;
    this.#options = options;
    this.#intervalMs = options.intervalMs;
  }

  get isUnderWay(): boolean {
    return this.#round !== undefined;
  }

  get isSilent(): boolean {
    return this.#failures > 0;
  }

  /** End of the last complete round, by the clock that rounds are started by; 0 for never. */
  get completedAtMs(): number {
    return this.#completedAtMs;
  }

  /** Of the first page. */
  get firstSentAtMs(): number {
    return this.#round?.firstSentAtMs ?? 0;
  }

  get isRepair(): boolean {
    return this.#round?.isRepair === true;
  }

  /** Ask at `atMs`, or right after the round that is under way: it may have begun too early. */
  hasten(atMs: number): void {
    if (this.#round !== undefined) this.#isDueAgain = true;
    else this.#dueMs = Math.min(this.#dueMs, Math.max(atMs, this.#waitsUntilMs));
  }

  /** Between the rounds that end from now on and those that follow them. What hastens one is not held up by it. */
  pace(intervalMs: number): void {
    this.#intervalMs = intervalMs;
  }

  /** The next round asks for everything. */
  repair(nowMs: number): void {
    this.#repairs = true;
    this.hasten(nowMs);
  }

  /** A request for single keys, beside any round. */
  requestKeys(vector: VersionVector, keys: readonly string[]): FetchRequest {
    const { region, bytesMax, generation } = this.#options;
    return { region, generation, vector, afterKey: '', bytesMax, keys, isRepair: false, isAway: false };
  }

  /** The first request of a round that is due. */
  start(nowMs: number, vector: VersionVector): FetchRequest | undefined {
    if (this.#round !== undefined || nowMs < this.#dueMs) return undefined;
    const begin = {
      startVector: vector,
      firstVector: undefined,
      firstSentAtMs: 0,
      afterKey: '',
      isTainted: false,
      isBroken: false,
    };
    this.#round = { ...begin, isRepair: this.#repairs, isWhole: true };
    this.#isDueAgain = false;
    this.#repairs = false;
    return this.#request(this.#round);
  }

  /** @returns whether the page may be applied; if not the round is to be failed. */
  accepts(request: FetchRequest, answer: FetchAnswer): boolean {
    const round = this.#round;
    if (round === undefined || request.afterKey !== round.afterKey) return false;
    if (answer.nextKey !== '' && answer.nextKey <= round.afterKey) return false;
    if (round.firstVector === undefined) {
      round.firstVector = answer.vector;
      round.firstSentAtMs = answer.sentAtMs;
    } else if (!answer.vector.dominates(round.firstVector)) round.isBroken = true;
    // A key that is absent from a later page may be so for a deletion that the first page's clock does not contain.
    if (answer.isWholeRange && !round.firstVector.dominates(answer.collected)) round.isTainted = true;
    round.isWhole &&= answer.isWholeRange;
    return true;
  }

  /** Something of the page could not be applied: the peer's vector must not be taken over. */
  taint(): void {
    if (this.#round !== undefined) this.#round.isTainted = true;
  }

  /**
   * What has been taken over of a key by the whole ranges of the round that is under way. The clock gets it at the end:
   * until then an old version of a key that the peer no longer has must not come in from elsewhere.
   */
  seenOf(key: string): VersionVector | undefined {
    const round = this.#round;
    if (round === undefined || !round.isWhole || round.isTainted || round.isBroken) return undefined;
    return round.afterKey !== '' && key <= round.afterKey ? round.firstVector : undefined;
  }

  /** What may be joined once the page whose `nextKey` is '' has been applied. */
  get completeVector(): VersionVector | undefined {
    const round = this.#round;
    return round === undefined || round.isTainted || round.isBroken ? undefined : round.firstVector;
  }

  /** The page has been applied. @returns the request for the next one, or the vector that the peer had: it has answered. */
  applied(nextKey: string, nowMs: number): FetchRequest | VersionVector | 'failed' | undefined {
    const round = this.#round;
    if (round?.firstVector === undefined) return undefined;
    if (nextKey !== '') {
      round.afterKey = nextKey;
      return this.#request(round);
    }
    if (round.isBroken) {
      this.failed(nowMs);
      return 'failed';
    }
    this.#round = undefined;
    this.#failures = 0;
    this.#completedAtMs = nowMs;
    this.#waitsUntilMs = round.isTainted ? nowMs + TAINTED_WAIT_MS : nowMs;
    this.#dueMs = nowMs + this.#intervalMs;
    if (this.#isDueAgain) this.hasten(nowMs);
    return round.firstVector;
  }

  /** The peer does not hear this region: it is asked as often as one that answers. */
  refused(nowMs: number): void {
    this.#round = undefined;
    this.#dueMs = nowMs + this.#intervalMs;
  }

  failed(nowMs: number): void {
    if (this.#round === undefined) return;
    this.#round = undefined;
    this.#dueMs = nowMs + backoffMs(this.#failures++, RETRY, this.#options.random);
  }

  #request(round: Round): FetchRequest {
    return {
      region: this.#options.region,
      vector: round.startVector,
      afterKey: round.afterKey,
      bytesMax: this.#options.bytesMax,
      generation: this.#options.generation,
      keys: [],
      isRepair: round.isRepair,
      isAway: false,
    };
  }
}
