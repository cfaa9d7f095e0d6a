import type { VersionVector } from '@meridian/causality';
import { Failure } from '@meridian/failure';
import { parseSessionToken, stale } from '@meridian/rpc';
import type { Clock } from '@meridian/runtime';
import type { SharedState } from './ports.ts';

/** What a link needs when nothing is wrong; longer than that a caller should decide itself what to do. */
const WAIT_DEFAULT_MS = 250;
const WAIT_MS_MAX = 5_000;
/** Each waiter looks at every change. */
const WAITERS_MAX = 256;

/** How a request says what its caller has seen. */
export interface SessionFields {
  readonly versionVector: string;
  readonly waitMs?: number | undefined;
}

/**
 * Makes callers wait until this region has seen what they have.
 *
 * 1. Who is let pass is never answered from less than its token covers.
 * 2. Nobody waits longer than it asked for, and none is let wait once it is too many: it is STALE at once.
 */
export class Session {
  readonly #state: SharedState;
  readonly #clock: Clock;
  #waiters = 0;

  constructor(state: SharedState, clock: Clock) {
    this.#state = state;
    this.#clock = clock;
  }

  /**
   * @param key what the call is about: a version of it may be here before the region's clock covers it
   * @throws Failure INVALID_ARGUMENT / VERSION_VECTOR_INVALID, WAIT_INVALID; FAILED_PRECONDITION / STALE with a retry delay.
   */
  async reach({ versionVector, waitMs }: SessionFields, signal: AbortSignal, key?: string): Promise<void> {
    if (versionVector !== '')
      await this.#reachVector(parseSessionToken(versionVector), waitMs ?? WAIT_DEFAULT_MS, signal, key);
  }

  /** The same for a write context. */
  async reachContext(
    context: string,
    { waitMs }: Pick<SessionFields, 'waitMs'>,
    signal: AbortSignal,
    key: string,
  ): Promise<VersionVector> {
    const wanted = parseSessionToken(context, 'context');
    await this.#reachVector(wanted, waitMs ?? WAIT_DEFAULT_MS, signal, key);
    return wanted;
  }

  async #reachVector(wanted: VersionVector, waitMs: number, signal: AbortSignal, key?: string): Promise<void> {
    if (waitMs > WAIT_MS_MAX)
      throw new Failure('INVALID_ARGUMENT', `wait_ms: expected at most ${WAIT_MS_MAX}`, { reason: 'WAIT_INVALID' });
    if (this.#hasSeen(wanted, key)) return;
    if (waitMs === 0 || this.#waiters >= WAITERS_MAX) throw stale();
    this.#waiters++;
    try {
      await this.#seen(wanted, waitMs, signal, key);
    } finally {
      this.#waiters--;
    }
  }

  #seen(wanted: VersionVector, waitMs: number, signal: AbortSignal, key: string | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = this.#clock.setTimer(waitMs, () => reject(stale()));
    const unlisten = this.#state.onChange(() => {
      if (this.#hasSeen(wanted, key)) resolve();
    });
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    return promise.finally(() => {
      timer.cancel();
      unlisten();
      signal.removeEventListener('abort', abort);
    });
  }

  #hasSeen(wanted: VersionVector, key: string | undefined): boolean {
    return this.#state.hasSeen(wanted, key);
  }
}
