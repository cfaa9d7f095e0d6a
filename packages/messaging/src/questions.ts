import { Failure } from '@meridian/failure';
import type { Clock } from '@meridian/runtime';
import { backlogFull, cancelled, connectionLost, noReply } from './ask-failures.ts';

/** Questions of one bus that wait at once; each holds a promise and a timer. */
export const QUESTIONS_MAX = 8192;

export type Settle<A> = (answer: A | Failure) => void;

/**
 * Questions that wait for their answer.
 *
 * 1. Each is settled exactly once: by an answer, its time-out, its signal, or the loss of the connection.
 * 2. At most `QUESTIONS_MAX` wait.
 */
export class Questions {
  readonly #clock: Clock;
  readonly #open = new Set<(failure: Failure) => void>();
  #idleWaiters: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * @param start sends it; `settle` may be called any number of times, the first counts. What it returns runs at the end.
   * @throws Failure what it was settled with; DEADLINE_EXCEEDED / NO_REPLY, CANCELLED, UNAVAILABLE / CONNECTION_LOST,
   * RESOURCE_EXHAUSTED / BACKLOG_FULL
   */
  ask<A>(start: (settle: Settle<A>) => () => void, timeoutMs: number, signal?: AbortSignal): Promise<A> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(cancelled(signal));
      if (this.#open.size >= QUESTIONS_MAX) return reject(backlogFull());
      let forget: (() => void) | undefined;
      const onAbort = (): void => settle(cancelled(signal));
      const settle = (answer: A | Failure): void => {
        if (!this.#open.delete(settle)) return;
        timer.cancel();
        signal?.removeEventListener('abort', onAbort);
        forget?.();
        if (this.#open.size === 0) for (const idle of this.#idleWaiters.splice(0)) idle();
        if (answer instanceof Failure) reject(answer);
        else resolve(answer);
      };
      const timer = this.#clock.setTimer(timeoutMs, () => settle(noReply(timeoutMs)));
      this.#open.add(settle);
      signal?.addEventListener('abort', onAbort, { once: true });
      forget = start(settle);
      if (!this.#open.has(settle)) forget();
    });
  }

  failAll(): void {
    for (const settle of Array.from(this.#open)) settle(connectionLost());
  }

  /** Resolves when none waits. */
  async idle(): Promise<void> {
    if (this.#open.size > 0) await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
  }
}
