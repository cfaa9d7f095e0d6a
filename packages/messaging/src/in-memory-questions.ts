import { Failure } from '@meridian/failure';
import type { Clock } from '@meridian/runtime';
import { cancelled, connectionLost, noReply } from './ask-failures.ts';

/** Questions of one bus that wait for an answer, as `NatsSession.ask` has them. */
export class InMemoryQuestions {
  readonly #clock: Clock;
  readonly #open = new Set<(failure: Failure) => void>();
  #idleWaiters: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param start sends it; `settle` may be called any number of times, the first counts */
  ask<A>(start: (settle: (answer: A | Failure) => void) => void, timeoutMs: number, signal?: AbortSignal): Promise<A> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(cancelled(signal));
      const onAbort = (): void => settle(cancelled(signal));
      const settle = (answer: A | Failure): void => {
        if (!this.#open.delete(settle)) return;
        timer.cancel();
        signal?.removeEventListener('abort', onAbort);
        if (this.#open.size === 0) for (const idle of this.#idleWaiters.splice(0)) idle();
        if (answer instanceof Failure) reject(answer);
        else resolve(answer);
      };
      this.#open.add(settle);
      const timer = this.#clock.setTimer(timeoutMs, () => settle(noReply(timeoutMs)));
      signal?.addEventListener('abort', onAbort, { once: true });
      start(settle);
    });
  }

  failAll(): void {
    for (const settle of Array.from(this.#open)) settle(connectionLost());
  }

  async idle(): Promise<void> {
    if (this.#open.size > 0) await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
  }
}
