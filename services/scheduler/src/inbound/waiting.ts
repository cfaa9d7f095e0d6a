import { Failure } from '@meridian/failure';
import type { Clock } from '@meridian/runtime';

/** What ends the waiting of one caller. */
export interface Patience {
  /** Wall time. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * A shared answer, for one of those who wait for it.
 * @throws Failure DEADLINE_EXCEEDED, or the signal's reason: the answer itself goes on
 */
export function within<T>(answer: Promise<T>, { deadlineMs, signal }: Patience, clock: Clock): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(Failure.from(signal?.reason));
    const timer = clock.setTimer(deadlineMs - clock.nowMs(), () => reject(deadlinePassed()));
    signal?.addEventListener('abort', leave, { once: true });
    answer.then(resolve, reject).finally(() => {
      timer.cancel();
      signal?.removeEventListener('abort', leave);
    });
  });
}

export function deadlinePassed(): Failure {
  return new Failure('DEADLINE_EXCEEDED', 'the deadline passed before a result was there');
}
