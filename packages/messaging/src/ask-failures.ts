import { Failure } from '@meridian/failure';

/** How a question can end without an answer; the same for every adapter. */
export function noReply(timeoutMs: number): Failure {
  return new Failure('DEADLINE_EXCEEDED', `no answer within ${timeoutMs} ms`, { reason: 'NO_REPLY', retryable: true });
}

export function noResponders(subject: string): Failure {
  return new Failure('UNAVAILABLE', `nobody listens on ${subject}`, { reason: 'NO_RESPONDERS' });
}

/** It was sent: what became of it is not known. */
export function connectionLost(): Failure {
  return new Failure('UNAVAILABLE', 'the connection was lost before an answer came', { reason: 'CONNECTION_LOST' });
}

/** It was not sent. */
export function disconnected(): Failure {
  return new Failure('UNAVAILABLE', 'not connected to the broker', { reason: 'DISCONNECTED', retryDelayMs: 500 });
}

export function cancelled(signal: AbortSignal | undefined): Failure {
  if (signal?.reason instanceof Failure) return signal.reason;
  return new Failure('CANCELLED', 'the request was cancelled', { cause: signal?.reason });
}

/** More waits for the broker than may. It was not sent. */
export function backlogFull(): Failure {
  return new Failure('RESOURCE_EXHAUSTED', 'too much is on its way to the broker', {
    reason: 'BACKLOG_FULL',
    retryDelayMs: 100,
  });
}
