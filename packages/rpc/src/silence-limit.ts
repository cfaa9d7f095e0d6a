import { Failure } from '@meridian/failure';
import type { Clock } from '@meridian/runtime';

export interface SilenceLimit {
  /** Between two messages, and before the first. */
  readonly silenceMs: number;
  readonly clock: Clock;
}

/**
 * The same messages, from a caller that must not fall silent: one that stops in the middle of an upload, with its
 * connection alive, would keep its place for ever.
 * @throws Failure DEADLINE_EXCEEDED / CALLER_SILENT. Retryable.
 */
export async function* withSilenceLimit<T>(messages: AsyncIterable<T>, limit: SilenceLimit): AsyncGenerator<T, void> {
  const source = messages[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await within(source.next(), limit);
      if (next.done) return;
      yield next.value;
    }
  } finally {
    // Not waited for: a source that is silent may not answer this either.
    source.return?.()?.catch(() => undefined);
  }
}

function within<T>(next: Promise<T>, { silenceMs, clock }: SilenceLimit): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(silenceMs, () => reject(silent(silenceMs)));
    next.then(resolve, reject).finally(() => timer.cancel());
  });
}

function silent(silenceMs: number): Failure {
  const message = `nothing came for ${silenceMs} ms; begin again: what was stored is not asked for again`;
  return new Failure('DEADLINE_EXCEEDED', message, { reason: 'CALLER_SILENT', retryable: true });
}
