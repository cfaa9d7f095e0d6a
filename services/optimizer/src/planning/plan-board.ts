import { Failure } from '@meridian/failure';

/** Readers of the plan at a time. */
const WATCHES_MAX = 64;

/**
 * The last plan, and those who wait for the next one.
 *
 * 1. A reader gets the last plan at once, and then each newer one; one that is slow passes over plans, and never gets an
 *    older one after a newer one.
 */
export class PlanBoard<P> {
  #last: P | undefined;
  #next = Promise.withResolvers<void>();
  #watches = 0;

  get last(): P | undefined {
    return this.#last;
  }

  get watches(): number {
    return this.#watches;
  }

  put(plan: P): void {
    this.#last = plan;
    const next = this.#next;
    this.#next = Promise.withResolvers();
    next.resolve();
  }

  /**
   * Ends with the signal.
   * @throws Failure RESOURCE_EXHAUSTED / TOO_MANY_WATCHES. Retryable.
   */
  async *watch(signal: AbortSignal): AsyncGenerator<P> {
    if (this.#watches >= WATCHES_MAX)
      throw new Failure('RESOURCE_EXHAUSTED', `${WATCHES_MAX} watches are open`, { reason: 'TOO_MANY_WATCHES' });
    const ended = Promise.withResolvers<void>();
    const end = () => ended.resolve();
    signal.addEventListener('abort', end, { once: true });
    this.#watches++;
    try {
      let given: P | undefined;
      while (!signal.aborted) {
        const next = this.#next.promise;
        const plan = this.#last;
        if (plan !== undefined && plan !== given) {
          given = plan;
          yield plan;
        } else await Promise.race([next, ended.promise]);
      }
    } finally {
      this.#watches--;
      signal.removeEventListener('abort', end);
    }
  }
}
