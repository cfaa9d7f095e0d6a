import type { Envelope } from '@meridian/contracts';
import { Failure } from '@meridian/failure';
import { type ApiError, ERROR_CODES, type PubAck } from './jetstream-api.ts';
import type { DurableEvent, PublishDurableOptions, Published } from './message-bus.ts';

export const PUBLISH_TIMEOUT_MS = 5000;
const FULL_RETRY_MS = 1000;

/** Headers that a stream obeys. */
export function publishHeaders(
  options: Pick<PublishDurableOptions, 'messageId' | 'expectedLastSubjectSequence'>,
): [name: string, value: string][] {
  const headers: [string, string][] = [];
  if (options.messageId !== undefined) headers.push(['Nats-Msg-Id', options.messageId]);
  if (options.expectedLastSubjectSequence !== undefined)
    headers.push(['Nats-Expected-Last-Subject-Sequence', String(options.expectedLastSubjectSequence)]);
  return headers;
}

/** Of one event of a run: the stream takes it only directly behind the one before. */
export function runHeaders(events: readonly DurableEvent[], index: number): [name: string, value: string][] {
  const event = events[index];
  const before = events[index - 1]?.messageId;
  const headers = event === undefined ? [] : publishHeaders(event);
  return before === undefined ? headers : [...headers, ['Nats-Expected-Last-Msg-Id', before]];
}

/** Receipts of all events of a run, from the one for the last. @throws Failure ABORTED / WRONG_SEQUENCE when it is an old one. */
export function runReceipts(envelopes: readonly Envelope[], last: Omit<Published, 'envelope'>): readonly Published[] {
  const first = last.sequence - envelopes.length + 1;
  if (last.duplicate) throw wrongSequence('the run', first, String(last.sequence));
  return envelopes.map((envelope, i) => ({ ...last, envelope, sequence: first + i }));
}

/** @throws Failure as `MessageBus.publishDurable` says */
export function readPubAck(answer: unknown, subject: string): PubAck {
  if (typeof answer !== 'object' || answer === null) throw noPubAck(subject, 'not a receipt');
  const { error, ...ack } = answer as Partial<PubAck> & { error?: ApiError };
  if (error !== undefined) throw refused(error, subject);
  if (typeof ack.stream !== 'string' || !Number.isSafeInteger(ack.seq)) throw noPubAck(subject, 'not a receipt');
  return { ...ack, stream: ack.stream, seq: Number(ack.seq) };
}

export function noPubAck(subject: string, cause: unknown): Failure {
  return new Failure('UNAVAILABLE', `no stream confirmed the event on ${subject}; it may be stored all the same`, {
    reason: 'NO_PUBACK',
    cause,
  });
}

export function wrongSequence(subject: string, expected: number | undefined, actual: string): Failure {
  return new Failure('ABORTED', `the last message of ${subject} is not ${expected ?? 'the expected one'}`, {
    reason: 'WRONG_SEQUENCE',
    details: { lastSequence: actual },
  });
}

export function streamFull(subject: string, problem: string): Failure {
  return new Failure('RESOURCE_EXHAUSTED', `the stream of ${subject} is full: ${problem}`, {
    reason: 'STREAM_FULL',
    retryDelayMs: FULL_RETRY_MS,
  });
}

export function tooLarge(subject: string): Failure {
  return new Failure('INVALID_ARGUMENT', `the stream of ${subject} does not take so large a message`, {
    reason: 'MESSAGE_TOO_LARGE',
  });
}

function refused(error: ApiError, subject: string): Failure {
  switch (error.err_code) {
    case ERROR_CODES.wrongLastMessageId:
    case ERROR_CODES.wrongLastSequence:
      return wrongSequence(subject, undefined, /\d+$/.exec(error.description)?.[0] ?? '');
    case ERROR_CODES.messageTooLarge:
      return tooLarge(subject);
    case ERROR_CODES.insufficientResources:
    case ERROR_CODES.storageExceeded:
      return streamFull(subject, error.description);
    case ERROR_CODES.storeFailed:
      if (error.description.startsWith('maximum ')) return streamFull(subject, error.description);
  }
  return noPubAck(subject, error);
}
