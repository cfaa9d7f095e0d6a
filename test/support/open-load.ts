import { RecognitionService } from '@meridian/contracts/recognition';
import type { RegionService } from '@meridian/contracts/region';
import { Failure } from '@meridian/failure';
import { type Channel, createClient, type RpcClient } from '@meridian/rpc';
import { type Random, systemClock, type Timer } from '@meridian/runtime';

export interface OpenLoadOptions {
  readonly channel: Channel;
  readonly model: string;
  readonly pictures: readonly Uint8Array[];
  readonly perSecond: number;
  /** Draws the time between two pictures, as of users who know nothing of each other; without it all are equal. */
  readonly random?: Random;
}

export interface LoadAnswer {
  readonly taskId: string;
  readonly region: string;
  readonly tookMs: number;
  /** When it was sent, by the monotonic clock. */
  readonly sentMs: number;
  readonly failure?: Failure;
}

/** One decision about one task. */
export interface Placed {
  readonly taskId: string;
  readonly attempt: number;
  readonly region: string;
  readonly decidedMs: number;
  readonly isLast: boolean;
}

const CALL_TIMEOUT_MS = 30_000;
/** Requests under way at once for explanations. */
const ASKED_AT_ONCE = 32;

/** Pictures at a rate, whatever becomes of those before: as people send them. */
export class OpenLoad {
  readonly #o: OpenLoadOptions;
  readonly #calls: Promise<LoadAnswer>[] = [];
  readonly #door: RpcClient<typeof RecognitionService>;
  #timer: Timer | undefined;
  #dueMs = 0;
  answered = 0;

  constructor(options: OpenLoadOptions) {
    this.#o = options;
    this.#door = createClient(RecognitionService, options.channel);
  }

  start(): void {
    this.#dueMs = systemClock.monotonicMs();
    this.#send();
  }

  /** Sends no more. @returns all answers, when they are here */
  stop(): Promise<LoadAnswer[]> {
    this.#timer?.cancel();
    return Promise.all(this.#calls);
  }

  async decisions(regions: RpcClient<typeof RegionService>, answers: readonly LoadAnswer[]): Promise<Placed[]> {
    const placed: Placed[] = [];
    for (let at = 0; at < answers.length; at += ASKED_AT_ONCE) {
      const some = answers.slice(at, at + ASKED_AT_ONCE).filter(({ taskId }) => taskId !== '');
      const told = await Promise.all(some.map(({ taskId }) => regions.explainTask({ taskId }, { timeoutMs: 10_000 })));
      for (const { taskId, decisions } of told)
        for (const [i, { attempt, winner, decidedUnixMs }] of decisions.entries())
          placed.push({
            ...{ taskId, attempt, region: winner, decidedMs: Number(decidedUnixMs) },
            isLast: i === decisions.length - 1,
          });
    }
    return placed.sort((a, b) => a.decidedMs - b.decidedMs);
  }

  /** By the clock, not by the timer before: a late timer sends what it owes. */
  #send(): void {
    for (const nowMs = systemClock.monotonicMs(); this.#dueMs <= nowMs; this.#dueMs += this.#gapMs())
      this.#calls.push(this.#call(this.#calls.length));
    this.#timer = systemClock.setTimer(Math.max(1, this.#dueMs - systemClock.monotonicMs()), () => this.#send());
  }

  #gapMs(): number {
    const { perSecond, random } = this.#o;
    return (random === undefined ? 1 : -Math.log(1 - random.next())) * (1_000 / perSecond);
  }

  async #call(number: number): Promise<LoadAnswer> {
    const { pictures, model } = this.#o;
    const picture = pictures[number % pictures.length] ?? new Uint8Array();
    const startedMs = systemClock.monotonicMs();
    try {
      const { result } = await this.#door.recognize({ picture, model, noCache: true }, { timeoutMs: CALL_TIMEOUT_MS });
      const tookMs = systemClock.monotonicMs() - startedMs;
      return { taskId: result?.taskId ?? '', region: result?.region ?? '', tookMs, sentMs: startedMs };
    } catch (error) {
      return { taskId: '', region: '', tookMs: 0, sentMs: startedMs, failure: Failure.from(error) };
    } finally {
      this.answered++;
    }
  }
}

/** Part of the decisions of a time that went to the region; NaN when there were none. */
export function shareOf(region: string, placed: readonly Placed[], fromMs: number, untilMs: number): number {
  const then = placed.filter(({ decidedMs }) => decidedMs >= fromMs && decidedMs < untilMs);
  return then.filter((one) => one.region === region).length / then.length;
}
