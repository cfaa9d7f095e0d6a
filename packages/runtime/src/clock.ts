import { Failure } from '@meridian/failure';

export interface Timer {
  /** Idempotent; does nothing once the timer has fired. */
  cancel(): void;
}

/** The only way to see or wait for time. Domain code takes it as a port, so that simulations decide what time it is. */
export interface Clock {
  /** Wall time, ms since 1970. May jump; for people, deadlines on the wire and the hybrid logical clock. */
  nowMs(): number;
  /** Never goes back; for durations. */
  monotonicMs(): number;
  /** Runs `fn` once, not before `delayMs` have passed. Delays are clamped to 0 … 2^31 − 1 ms (24.8 days). */
  setTimer(delayMs: number, fn: () => void): Timer;
  /** @throws Failure CANCELLED when the signal is (or already was) aborted; the signal's reason when that is a Failure. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

/** Longest delay that the platform's timers take; a longer one would fire at once. */
const TIMER_DELAY_MAX_MS = 2 ** 31 - 1;

function clampDelay(delayMs: number): number {
  return Math.min(Math.max(delayMs, 0), TIMER_DELAY_MAX_MS);
}

function sleepOn(clock: Clock, delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return new Promise((resolve) => void clock.setTimer(delayMs, resolve));
  if (signal.aborted) return Promise.reject(cancelled(signal));
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      timer.cancel();
      reject(cancelled(signal));
    };
    const timer = clock.setTimer(delayMs, () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

function cancelled(signal: AbortSignal): Failure {
  if (signal.reason instanceof Failure) return signal.reason;
  return new Failure('CANCELLED', 'the wait was cancelled', { cause: signal.reason });
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer(delayMs, fn) {
    const handle = setTimeout(fn, clampDelay(delayMs));
    return { cancel: () => clearTimeout(handle) };
  },
  sleep: (delayMs, signal) => sleepOn(systemClock, delayMs, signal),
};

interface PendingTimer {
  readonly dueMs: number;
  /** Order of creation: timers due at the same time run in it. */
  readonly sequence: number;
  readonly fn: () => void;
}

/**
 * A clock that moves only when told to.
 *
 * 1. Timers run in order of due time, then of creation; each sees the time at which it was due.
 * 2. The wall can be set without moving the monotonic time; no timer depends on the wall.
 */
export class VirtualClock implements Clock {
  #monotonicMs = 0;
  #wallOffsetMs: number;
  #sequence = 0;
  readonly #timers = new Set<PendingTimer>();

  /** @param startMs wall time at monotonic time 0 */
  constructor(startMs = 0) {
    this.#wallOffsetMs = startMs;
  }

  nowMs(): number {
    return this.#monotonicMs + this.#wallOffsetMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  setTimer(delayMs: number, fn: () => void): Timer {
    const timer = { dueMs: this.#monotonicMs + clampDelay(delayMs), sequence: this.#sequence++, fn };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal);
  }

  /** Number of timers that have not fired; 0 at the end of a test means that nothing was left behind. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Moves time on and runs what becomes due, timers set meanwhile included. Promise continuations run after it returns. */
  advance(ms: number): void {
    const targetMs = this.#monotonicMs + Math.max(ms, 0);
    while (this.#runNext(targetMs));
    this.#monotonicMs = targetMs;
  }

  /** Like {@link advance}, but lets promise continuations run after each timer, so that chained sleeps all pass. */
  async advanceAsync(ms: number): Promise<void> {
    const targetMs = this.#monotonicMs + Math.max(ms, 0);
    await settle();
    while (this.#runNext(targetMs)) await settle();
    this.#monotonicMs = targetMs;
    await settle();
  }

  /** The wall clock is set, by an operator or a time service; monotonic time goes on as before. */
  setWallMs(ms: number): void {
    this.#wallOffsetMs = ms - this.#monotonicMs;
  }

  #runNext(targetMs: number): boolean {
    let next: PendingTimer | undefined;
    for (const timer of this.#timers) {
      const earlier =
        next === undefined ||
        timer.dueMs < next.dueMs ||
        (timer.dueMs === next.dueMs && timer.sequence < next.sequence);
      if (earlier) next = timer;
    }
    if (next === undefined || next.dueMs > targetMs) return false;
    this.#timers.delete(next);
    this.#monotonicMs = Math.max(this.#monotonicMs, next.dueMs);
    next.fn();
    return true;
  }
}

/** One turn of the event loop: all promise continuations that can run have run. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
